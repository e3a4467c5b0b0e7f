"""Rich output: lines of the outputs file."""

from __future__ import annotations

import base64
import json

from harness import Kernel


def texts(outputs: list[dict]) -> list[str]:
    return [output["data"].get("text/plain") for output in outputs]


def test_the_last_expression_is_the_last_result(shared: Kernel) -> None:
    calculation = shared.run("display('first')\nprint('printed')\n[1, 2]")
    assert texts(calculation.outputs) == ["'first'", "[1, 2]"]
    assert set(calculation.outputs[0]) == {"data", "metadata"}
    assert calculation.stdout == "printed\n"


def test_only_the_last_expression_counts_and_none_is_no_result(shared: Kernel) -> None:
    assert shared.run("1\n2\nNone").outputs == []
    assert shared.run("1\nx = 2").outputs == []


def test_a_semicolon_hides_the_last_expression(shared: Kernel) -> None:
    assert shared.run("(1,\n 2);  # no").outputs == []
    assert texts(shared.run("1; 2").outputs) == ["2"]


def test_html_and_own_representations_are_kept(shared: Kernel) -> None:
    calculation = shared.run(
        "from IPython.display import HTML\ndisplay(HTML('<b>x</b>'))\n"
        "class R:\n    def _repr_mimebundle_(self, **_): return {'text/plain': 'p', 'application/json': {'a': float('nan')}, 'image/png': b'\\x89'}\nR()"
    )
    assert calculation.outputs[0]["data"]["text/html"] == "<b>x</b>"
    assert calculation.outputs[1]["data"]["text/plain"] == "p"
    assert base64.b64decode(calculation.outputs[1]["data"]["image/png"]) == b"\x89"
    raw = (calculation.folder / "outputs.ndjson").read_text()
    assert all(json.loads(line, parse_constant=lambda word: 1 / 0) for line in raw.splitlines())


def test_what_json_does_not_know_becomes_null_or_text(shared: Kernel) -> None:
    (output,) = shared.run(
        "import math\ndisplay({'application/json': {'a': [math.nan, -math.inf, 1.5], 'b': {1, }, 2: None}, 'text/plain': 't'},"
        " metadata={'m': object}, raw=True)"
    ).outputs
    assert output["data"] == {"application/json": {"a": [None, None, 1.5], "b": "{1}", "2": None}, "text/plain": "t"}
    assert output["metadata"] == {"m": "<class 'object'>"}
    (output,) = shared.run(
        "loop = []\nloop.append(loop)\ndisplay({'application/json': loop, 'text/plain': 't'}, raw=True)"
    ).outputs
    assert output["data"] == {"application/json": "[[...]]", "text/plain": "t"}


def test_the_format_of_figures_can_be_chosen(kernel: Kernel) -> None:
    kernel.run("%config InlineBackend.figure_formats = ['svg']\nimport matplotlib.pyplot as plt")
    (output,) = kernel.run("plt.plot([1]);").outputs
    assert set(output["data"]) == {"image/svg+xml", "text/plain"}


def test_a_representation_that_fails_is_reported_and_the_others_are_kept(shared: Kernel) -> None:
    calculation = shared.run(
        "class Half:\n    def __repr__(self): return 'half'\n    def _repr_html_(self): raise ValueError('no html')\nHalf()"
    )
    assert calculation.state == "COMPLETED"
    assert calculation.stderr == '  File "<stdin>", line 3, in _repr_html_\nValueError: no html\n'
    assert calculation.outputs == [{"data": {"text/plain": "half"}, "metadata": {}}]
    assert shared.run("class None_:\n    def __repr__(self): raise ValueError('no text')\nNone_()").state == "FAILED"


def test_a_huge_value_does_not_lose_the_outputs_before_it(shared: Kernel) -> None:
    calculation = shared.run("display('before')\n'x' * (32 << 20)")
    assert calculation.state == "COMPLETED"
    assert texts(calculation.outputs)[0] == "'before'"
    assert "left out" in texts(calculation.outputs)[1]


def test_outputs_of_all_kinds_come_in_the_blocks_order(shared: Kernel) -> None:
    calculation = shared.run(
        "from IPython.display import HTML, Markdown, JSON, Image\nfrom matplotlib.figure import Figure\n"
        "display(HTML('<i>'), Markdown('*m*'))\ndisplay(JSON({'a': 1}))\ndisplay(Image(b'\\x89PNG\\r\\n', format='png'))\n"
        "figure = Figure(); figure.add_subplot().plot([1])\nfigure"
    )
    kinds = [sorted(set(output["data"]) - {"text/plain"}) for output in calculation.outputs]
    assert kinds == [["text/html"], ["text/markdown"], ["application/json"], ["image/png"], ["image/png"]]
    assert base64.b64decode(calculation.outputs[3]["data"]["image/png"]) == b"\x89PNG\r\n"


def test_a_figure_becomes_a_png_without_being_asked(shared: Kernel) -> None:
    calculation = shared.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert calculation.state == "COMPLETED", calculation.stderr
    figures = [output["data"]["image/png"] for output in calculation.outputs if "image/png" in output["data"]]
    assert [base64.b64decode(figure)[:4] for figure in figures] == [b"\x89PNG"]
    assert len([1 for output in shared.run("plt.plot([3]);").outputs if "image/png" in output["data"]]) == 1


def test_a_data_frame_is_a_table(shared: Kernel) -> None:
    data = shared.run("import pandas as pd\npd.DataFrame({'a': [1]})").outputs[0]["data"]
    assert "<table" in data["text/html"]
    assert "a" in data["text/plain"]


def test_outputs_end_at_their_limit_and_say_so(shared: Kernel) -> None:
    calculation = shared.run("for n in range(20): display({'text/plain': 'x' * (1 << 20)}, raw=True)\n'last'")
    assert calculation.state == "COMPLETED"
    assert calculation.outcome["outputs"] <= (16 << 20) + 1000
    assert "left out" in texts(calculation.outputs)[-1]
    assert texts(shared.run("'next'").outputs) == ["'next'"]


def test_a_forked_child_has_no_results(shared: Kernel) -> None:
    calculation = shared.run(
        "import os\nif (pid := os.fork()) == 0:\n    display('child')\n    os._exit(0)\nos.waitpid(pid, 0)[1]"
    )
    assert texts(calculation.outputs) == ["0"]


def test_magics_and_shell_commands_run(shared: Kernel) -> None:
    calculation = shared.run("!echo shell\n%env ERGANE_TEST=1\nimport os\nprint(os.environ['ERGANE_TEST'])")
    assert calculation.state == "COMPLETED", calculation.stderr
    assert calculation.stdout == "shell\nenv: ERGANE_TEST=1\n1\n"


def test_plain_python_is_not_taken_for_a_magic(shared: Kernel) -> None:
    assert shared.run("a = 7\nb = 4\nprint(a\n% b)").stdout == "3\n"
    assert shared.run("ls").outcome["error"]["name"] == "NameError"


def test_completion_and_inspection_answer_while_nothing_runs(shared: Kernel) -> None:
    shared.run("some_name = {'k': 1}")
    answer = shared.server.ask(op="complete", code="some_na", pos=7)
    assert (answer["matches"], answer["start"], answer["end"]) == (["some_name"], 0, 7)
    assert "dict" in shared.server.ask(op="inspect", code="some_name", pos=3)["text"]
    calculation = shared.submit("import threading; go = threading.Event(); print('on'); go.wait()")
    calculation.await_stdout("on")
    assert shared.server.ask(op="complete", code="some_na", pos=7)["err"] == "busy"
    assert calculation.interrupt()["state"] == "CANCELED"
