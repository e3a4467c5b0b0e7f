"""Magics without Spark: what each does, how each fails, and that none holds a kernel up."""

from __future__ import annotations

import pytest

from harness import Kernel

OURS = [
    "%%sql",
    "%table",
    "%matplot",
    "%plotly",
    "%session_id",
    "%status",
    "%list_sessions",
    "%set_log_level",
    "%env",
    "%pip",
    "%help",
    "%lsmagic",
]


def usage(calculation) -> str:
    """The text of a usage error, of which the block's stderr is one frame and one line."""
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "UsageError", calculation.stderr
    text = calculation.outcome["error"]["value"]
    assert calculation.stderr.splitlines()[-1] == f"UsageError: {text}"
    assert len(calculation.stderr.splitlines()) == 2, calculation.stderr
    return text


def html(calculation) -> str:
    (output,) = calculation.outputs
    return output["data"]["text/html"]


# ---- help ----


def test_lsmagic_has_a_line_for_each_and_names_ipythons(shared: Kernel) -> None:
    calculation = shared.run("%lsmagic")
    own, _, others = calculation.stdout.partition("\nOf IPython:\n")
    assert {line.split()[0] for line in own.splitlines()} >= set(OURS)
    assert all(len(line.split()) > 3 for line in own.splitlines())
    assert {"%time", "%timeit", "%%bash", "%who"} <= set(others.split())
    assert not {"%debug", "%pip", "%edit", "%env"} & set(others.split())


def test_help_describes_every_magic(shared: Kernel) -> None:
    assert set(OURS) <= set(shared.run("%help").stdout.splitlines())


@pytest.mark.parametrize("name", OURS)
def test_a_question_mark_shows_the_help_of_one(shared: Kernel, name: str) -> None:
    (output,) = shared.run(f"{name}?").outputs
    assert "Docstring:" in output["data"]["text/plain"]


def test_our_names_are_completed(shared: Kernel) -> None:
    assert "%session_id" in shared.server.ask(op="complete", code="%sess", pos=5)["matches"]


# ---- what fails, and how ----


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("%nothing", "there is no magic %nothing; %lsmagic"),
        ("%%nothing\nx", "there is no magic %%nothing; %lsmagic"),
        ("%sql SELECT 1", "begin the block with %%sql"),
        ("%%table\nrows", "write %table"),
        ("print(1)\n%%time\n2", "%%time must be the first line"),
        ("%pip install x", "addPyFile"),
        ("%conda install x", "%pip installs"),
        ("%debug", "terminal"),
        ("%%debug\n1", "terminal"),
        ("%pdb on", "terminal"),
        ("%edit", "terminal"),
        ("%logstart", "no history"),
        ("%recall", "no history"),
        ("%automagic", "no effect"),
        ("%set_log_level info", "upper case"),
        ("%set_log_level", "upper case"),
        ("%table 5", "not an object of the type int"),
        ("%table 'text'", "not an object of the type str"),
        ("%table", "%table rows"),
        ("%matplot 5", "%matplot plt"),
        ("%matplot", "%matplot plt"),
        ("%plotly 1", "plotly is not installed"),
        ("%env NOT_THERE", "NOT_THERE"),
        ("%env A B=c", "%env NAME=value"),
        ("%%sql\nSELECT 1", "needs Spark"),
    ],
)
def test_a_usage_error_is_one_line(shared: Kernel, code: str, part: str) -> None:
    assert part in usage(shared.run(code))


def test_magics_of_ipython_that_are_read_later_do_not_replace_ours(shared: Kernel) -> None:
    shared.run("%pwd\n%time 1\n%who")
    assert "terminal" in usage(shared.run("%debug"))
    assert shared.run("%env MY_SECRET=x").stdout == "env: MY_SECRET=********\n"


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("%time print(1)", "1\n"),
        ("%%time\nprint(2)", "2\n"),
        ("%timeit -n1 -r1 pass", "per loop"),
        ("%%bash\necho from bash", "from bash\n"),
        ("x = !echo captured\nprint(x[0])", "captured\n"),
        ("%%writefile written.py\nprint('script')", "Writing"),
        ("%run written.py", "script\n"),
        ("%%capture kept\nprint(3)", ""),
        ("print(kept.stdout)", "3\n"),
        ("%load_ext autoreload\n%autoreload 2\nprint('reloading')", "reloading\n"),
        ("%matplotlib inline\nprint('inline')", "inline\n"),
        ("%who", "kept"),
        ("def f():\n    %time 1\n    return 5\nprint(f())", "5\n"),
    ],
)
def test_useful_magics_of_ipython_work(shared: Kernel, code: str, output: str) -> None:
    calculation = shared.run(code)
    assert (calculation.state, calculation.stderr) == ("COMPLETED", "")
    assert output in calculation.stdout


@pytest.mark.parametrize(
    "code",
    ["%matplotlib qt", "%run absent.py", "%%bash\nexit 3", "breakpoint()", "import pdb; pdb.set_trace()"],
)
def test_what_fails_fails_the_block_and_leaves_the_kernel_well(shared: Kernel, code: str) -> None:
    assert shared.run(code).state == "FAILED"
    calculation = shared.run(
        "import matplotlib.pyplot as plt, logging\nplt.plot([1]);\nprint(logging.getLogger().handlers)"
    )
    assert (calculation.state, calculation.stdout, calculation.stderr) == ("COMPLETED", "[]\n", "")
    assert ["image/png" in output["data"] for output in calculation.outputs] == [True]


def test_a_question_of_a_magic_is_answered_with_its_default(shared: Kernel) -> None:
    shared.run("keep_me = 1\n%reset")
    assert shared.run("print(keep_me)").stdout == "1\n"


def test_a_failing_script_fails_the_block(shared: Kernel) -> None:
    shared.run("%%writefile bad.py\nprint('begun')\nraise ValueError('in the script')")
    calculation = shared.run("\n%run bad.py")
    assert (calculation.state, calculation.stdout) == ("FAILED", "begun\n")
    assert calculation.stderr.startswith('  File "<stdin>", line 2, in <module>\n  File "')
    assert "IPython" not in calculation.stderr
    assert calculation.stderr.endswith(
        "bad.py\", line 2, in <module>\n    raise ValueError('in the script')\nValueError: in the script\n"
    )


# ---- line numbers ----


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("%env A=1\n\n1/0", 3),
        ("%env A=1 \\\n  2\n\n1/0", 4),
        ("x = !echo \\\n  1\n1/0", 3),
        ("\n\n!true\n1/0", 4),
        ("if True:\n    %env A=1 \\\n      2\n    1/0", 4),
    ],
)
def test_lines_keep_their_numbers_around_magics(shared: Kernel, code: str, line: int) -> None:
    calculation = shared.run(code)
    assert calculation.outcome["error"]["name"] == "ZeroDivisionError"
    assert calculation.stderr.startswith(f'  File "<stdin>", line {line}, in <module>\n')


def test_a_captured_block_fails_with_its_own_line(shared: Kernel) -> None:
    calculation = shared.run("# a remark\n%%capture\nprint(1)\n1/0")
    assert calculation.state == "FAILED"
    lines = ['  File "<stdin>", line 2, in <module>', '  File "<stdin>", line 4, in <module>']
    assert calculation.stderr.splitlines() == [*lines, "ZeroDivisionError: division by zero"]


def test_frames_of_ipython_are_not_in_a_traceback(shared: Kernel) -> None:
    calculation = shared.run("\n%time 1/0")
    assert calculation.stderr.startswith('  File "<stdin>", line 2, in <module>\n')
    assert "IPython" not in calculation.stderr
    assert "ergane_kernel" not in calculation.stderr


# ---- %env ----


def test_env_sets_shows_and_masks(shared: Kernel) -> None:
    code = "%env ERGANE_X=a b\n%env ERGANE_Y spaced\n%env ERGANE_TOKEN=abc\nimport os\nprint(*(os.environ['ERGANE_' + n] for n in ('X', 'Y', 'TOKEN')))"
    assert (
        shared.run(code).stdout
        == "env: ERGANE_X=a b\nenv: ERGANE_Y=spaced\nenv: ERGANE_TOKEN=********\na b spaced abc\n"
    )
    assert shared.run("%env ERGANE_X").outputs[0]["data"]["text/plain"] == "'a b'"
    assert shared.run("x = %env ERGANE_TOKEN\nprint(x)").stdout == "********\n"
    listed = shared.run("e = %env\nprint(e['ERGANE_X'], e['ERGANE_TOKEN'], 'abc' in str(e))").stdout
    assert listed == "a b ******** False\n"


# ---- %table ----


def test_table_renders_rows_of_all_kinds(shared: Kernel) -> None:
    head = "<table>\n<thead><tr><th>{}</th><th>{}</th></tr></thead>\n<tbody>\n<tr><td>1</td><td>&lt;b&gt;</td></tr>"
    assert html(shared.run("%table [(1, '<b>'), (2, None)]")).startswith(head.format("_1", "_2"))
    assert html(shared.run("%table [{'n': 1, 'm': '<b>'}, {'m': 2}]  # a remark")).startswith(head.format("n", "m"))
    shared.run("import collections\nP = collections.namedtuple('P', 'n m')")
    assert html(shared.run("%table [P(1, '<b>')]")).startswith(head.format("n", "m"))
    assert html(shared.run("%table {'n': 1, 'm': '<b>'}")).startswith(head.format("n", "m"))
    shared.run("import pandas")
    assert html(shared.run("%table pandas.DataFrame({'n': [1], 'm': ['<b>']})")).startswith(head.format("n", "m"))
    assert html(shared.run("%table pandas.Series(['<b>'], index=[1], name='m')")).startswith(head.format("", "m"))
    assert html(shared.run("import numpy\n%table numpy.array([[1, 2]])")).count("<td>") == 2
    assert html(shared.run("%table []")) == "<table>\n<thead><tr></tr></thead>\n<tbody>\n</tbody>\n</table>"


def test_table_sees_the_names_of_a_function(shared: Kernel) -> None:
    assert "<td>7</td>" in html(shared.run("def show(local):\n    %table local\nshow([7])"))


def test_table_is_bounded(shared: Kernel) -> None:
    calculation = shared.run("%table ((n, 'x' * 100_000) for n in iter(int, 1))")
    text = html(calculation)
    assert text.count("<tr>") == 201
    assert len(text) < 200_000
    assert "only showing the first 200 rows" in text
    assert "only showing the first 200 rows" in calculation.outputs[0]["data"]["text/plain"]
    assert html(shared.run("%table [list(range(500))]")).count("<td>") == 100


# ---- figures ----


@pytest.mark.parametrize("what", ["plt", "plt.gcf()", "plt.gca()"])
def test_matplot_renders_a_figure_once(shared: Kernel, what: str) -> None:
    calculation = shared.run(f"import matplotlib.pyplot as plt\nplt.plot([1, 2])\n%matplot {what}\nNone")
    (output,) = calculation.outputs
    assert output["data"]["image/png"].startswith("iVBOR")
    assert output["data"]["text/plain"].startswith("<Figure size")


def test_matplot_without_a_figure_says_so(shared: Kernel) -> None:
    assert "plot something first" in usage(
        shared.run("import matplotlib.pyplot as plt\nplt.close('all')\n%matplot plt")
    )


def test_plotly_gives_its_json_and_html(shared: Kernel) -> None:
    shared.run(
        """
import os, sys
os.makedirs("lib/plotly", exist_ok=True)
with open("lib/plotly/__init__.py", "w") as f: f.write('''
class Figure:
    def to_json(self): return '{"data": [{"y": [1, null]}], "layout": {}}'
    def to_html(self, full_html, include_plotlyjs): return f"<div>{full_html} {include_plotlyjs}</div>"
''')
sys.path.append(os.path.abspath("lib"))
"""
    )
    (output,) = shared.run("import plotly\n%plotly plotly.Figure()").outputs
    assert output["data"]["application/vnd.plotly.v1+json"] == {"data": [{"y": [1, None]}], "layout": {}}
    assert output["data"]["text/html"] == "<div>False cdn</div>"
    assert "takes a figure of plotly" in usage(shared.run("%plotly 1"))
    shared.run("sys.path.remove(os.path.abspath('lib')); del sys.modules['plotly']")
