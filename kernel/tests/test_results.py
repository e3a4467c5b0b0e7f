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


def test_a_semicolon_keeps_the_last_expression_quiet(shared: Kernel) -> None:
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


def test_outputs_end_at_their_limit_with_a_word_about_it(shared: Kernel) -> None:
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
