"""stderr of a failed block, to the letter."""

from __future__ import annotations

import sys

import pytest

from harness import Kernel

CASES = {
    "a name that is not there, after a blank first line": (
        "\nfoobar",
        "  File \"<stdin>\", line 2, in <module>\nNameError: name 'foobar' is not defined\n",
    ),
    "functions of the user, without source lines": (
        "def f(x):\n    return 1 / x\n\ndef g():\n    f(0)\n\ng()",
        '  File "<stdin>", line 7, in <module>\n  File "<stdin>", line 5, in g\n  File "<stdin>", line 2, in f\n'
        "ZeroDivisionError: division by zero\n",
    ),
    "the last expression": (
        "x = 0\n1 / x",
        '  File "<stdin>", line 2, in <module>\nZeroDivisionError: division by zero\n',
    ),
    "an explicit cause": (
        "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('second') from e",
        '  File "<stdin>", line 2, in <module>\nZeroDivisionError: division by zero\n'
        "\nThe above exception was the direct cause of the following exception:\n\n"
        '  File "<stdin>", line 4, in <module>\nValueError: second\n',
    ),
    "an exception in a handler": (
        "try:\n    1 / 0\nexcept Exception:\n    raise KeyError('k')",
        '  File "<stdin>", line 2, in <module>\nZeroDivisionError: division by zero\n'
        "\nDuring handling of the above exception, another exception occurred:\n\n"
        "  File \"<stdin>\", line 4, in <module>\nKeyError: 'k'\n",
    ),
    "a syntax error": (
        "x = 1\ny = = 2",
        '  File "<stdin>", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax\n',
    ),
    "return outside of a function": ("return 1", None),
    "an exit": ("import sys\nsys.exit(3)", '  File "<stdin>", line 2, in <module>\nSystemExit: 3\n'),
    "exit as people type it": ("exit(4)", None),
    "a class of the user": (
        "class Mine(Exception): pass\nraise Mine('own')",
        '  File "<stdin>", line 2, in <module>\nMine: own\n',
    ),
    "a message that looks like a header": (
        "raise ValueError('a\\nTraceback (most recent call last):\\nb')",
        '  File "<stdin>", line 1, in <module>\nValueError: a\nTraceback (most recent call last):\nb\n',
    ),
    "an exception that cannot be shown": (
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError\nraise Bad",
        '  File "<stdin>", line 3, in <module>\nBad: <exception str() failed>\n',
    ),
    "awaited at the top": (
        "import asyncio\nawait asyncio.sleep(0)\n1 / 0",
        '  File "<stdin>", line 3, in <module>\nZeroDivisionError: division by zero\n',
    ),
    "after a magic and blank lines": (
        "\n\n%pwd\n1 / 0",
        '  File "<stdin>", line 4, in <module>\nZeroDivisionError: division by zero\n',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_traceback_begins_at_the_users_code(shared: Kernel, name: str) -> None:
    code, expected = CASES[name]
    calculation = shared.run(code)
    assert calculation.state == "FAILED"
    assert calculation.stderr.startswith('  File "<stdin>", line ')
    assert "ergane_kernel" not in calculation.stderr
    if expected is not None:
        assert calculation.stderr == expected


def test_library_frames_follow_with_their_source(shared: Kernel) -> None:
    lines = shared.run("import json\njson.loads('{')").stderr.splitlines()
    assert lines[0] == '  File "<stdin>", line 2, in <module>'
    assert "json/__init__.py" in lines[1]
    assert lines[-1].startswith("json.decoder.JSONDecodeError: ")


def test_an_error_of_a_repr_fails_the_block(shared: Kernel) -> None:
    calculation = shared.run("class R:\n    def __repr__(self): return 1 / 0\nR()")
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "ZeroDivisionError"
    assert calculation.stderr == '  File "<stdin>", line 2, in __repr__\nZeroDivisionError: division by zero\n'


def test_an_endless_recursion_has_a_short_traceback(shared: Kernel) -> None:
    calculation = shared.run("def f(): f()\nf()")
    assert calculation.outcome["error"]["name"] == "RecursionError"
    assert len(calculation.stderr.splitlines()) < 12


if sys.version_info >= (3, 11):  # exception groups are new in it

    def test_an_exception_group_shows_its_members(shared: Kernel) -> None:
        calculation = shared.run("raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])")
        assert "Traceback" not in calculation.stderr
        for part in ("ExceptionGroup: two (2 sub-exceptions)", "ValueError: a", "TypeError: b"):
            assert part in calculation.stderr


def test_the_error_of_the_outcome_is_the_last_line_of_the_traceback(shared: Kernel) -> None:
    calculation = shared.run("import json\njson.loads('')")
    error = calculation.outcome["error"]
    assert calculation.stderr.splitlines()[-1] == f"{error['name']}: {error['value']}"


def test_a_huge_message_is_cut_in_the_outcome_and_whole_in_stderr(shared: Kernel) -> None:
    calculation = shared.run("raise ValueError('\\x00' * 1_000_000)")
    assert len(calculation.stderr) > 1_000_000
    assert 0 < len(calculation.outcome["error"]["value"]) <= 4096
    assert (calculation.folder / "outcome.json").stat().st_size <= 8192


def test_a_block_that_is_no_utf8_fails_and_the_next_one_runs(shared: Kernel) -> None:
    calculation = shared.run(b"print('\xff')")
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "UnicodeDecodeError"
    assert shared.run("print(1)").stdout == "1\n"


def test_windows_line_ends_and_a_byte_order_mark_are_no_errors(shared: Kernel) -> None:
    assert shared.run(b"\xef\xbb\xbfif True:\r\n    print('''a\r\nb''')\r\n").stdout == "a\nb\n"
