"""What a block writes, by whatever way, is its range of the spool."""

from __future__ import annotations

import pytest

from harness import Kernel


def test_a_print_is_stdout_and_nothing_else(shared: Kernel) -> None:
    calculation = shared.run("print('hello', 1)")
    assert calculation.state == "COMPLETED"
    assert calculation.outcome["error"] is None
    assert (calculation.stdout, calculation.stderr, calculation.outputs) == ("hello 1\n", "", [])


@pytest.mark.parametrize("code", ["", "\n\n", "# nothing", "x = 1", "pass;"])
def test_a_block_that_writes_nothing_completes_with_empty_ranges(shared: Kernel, code: str) -> None:
    calculation = shared.run(code)
    assert calculation.state == "COMPLETED"
    assert (calculation.stdout, calculation.stderr, calculation.outputs) == ("", "", [])


def test_all_ways_to_write_arrive_in_order(shared: Kernel) -> None:
    calculation = shared.run(
        """
import ctypes, os, subprocess, sys, threading
print("python")
os.write(1, b"descriptor\\n")
os.system("echo system")
subprocess.run(["echo", "child"])
ctypes.CDLL(None).printf(b"c %d\\n", 7)
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
sys.stderr.write("error\\n")
os.system("echo child error >&2")
"""
    )
    assert calculation.stdout == "python\ndescriptor\nsystem\nchild\nc 7\nthread\n"
    assert calculation.stderr == "error\nchild error\n"


def test_text_without_a_line_end_belongs_to_its_block(shared: Kernel) -> None:
    first = shared.run("import ctypes; print('a', end=''); ctypes.CDLL(None).printf(b'b')\nNone")
    second = shared.run("print('c')")
    assert (first.stdout, second.stdout) == ("ab", "c\n")


def test_a_block_sees_the_names_of_the_block_before(shared: Kernel) -> None:
    shared.run("from __future__ import annotations\nvalue = 41\ndef next(): return value + 1")
    assert shared.run("print(next(), __name__)").stdout == "42 __main__\n"


def test_bytes_that_are_no_text_are_kept_as_they_are(shared: Kernel) -> None:
    calculation = shared.run("import os; os.write(1, b'\\xff\\xfe\\x00ok'); None")
    assert calculation.stdout_bytes == b"\xff\xfe\x00ok"


def test_surrogates_are_written_as_escapes(shared: Kernel) -> None:
    assert shared.run("print('\\ud800 ä €')").stdout == "\\ud800 ä €\n"


def test_a_hundred_megabytes_arrive_whole(shared: Kernel) -> None:
    calculation = shared.run("import os\nline = b'x' * 999_999 + b'\\n'\nfor _ in range(100): os.write(1, line)")
    assert calculation.state == "COMPLETED"
    start, end = calculation.outcome["stdout"]
    assert end - start == 100_000_000


def test_what_a_thread_prints_after_its_block_is_not_lost_for_the_next(kernel: Kernel) -> None:
    first = kernel.run(
        """
import threading
go = threading.Event()
def late():
    go.wait()
    print("late")
thread = threading.Thread(target=late); thread.start()
print("first")
"""
    )
    second = kernel.run("go.set(); thread.join(); print('second')")
    assert (first.stdout, second.stdout) == ("first\n", "late\nsecond\n")


def test_workers_started_in_an_earlier_block_write_to_the_running_one(kernel: Kernel) -> None:
    first = kernel.run("import multiprocessing\npool = multiprocessing.get_context('fork').Pool(1)\nprint('made')")
    second = kernel.run("pool.apply(print, ('from the worker',)); pool.terminate(); pool.join()")
    assert (first.stdout, second.stdout) == ("made\n", "from the worker\n")


def test_started_names_the_offsets_of_the_outcome(kernel: Kernel) -> None:
    kernel.run("print('before')")
    calculation = kernel.run("print('x')")
    started = calculation.started()
    assert started is not None
    assert started["id"] == calculation.id
    assert (started["stdout"], started["stderr"]) == (
        calculation.outcome["stdout"][0],
        calculation.outcome["stderr"][0],
    )
    assert calculation.outcome["start"] <= calculation.outcome["end"]


def test_a_clock_that_is_set_meanwhile_makes_no_block_longer_or_shorter(kernel: Kernel) -> None:
    for hours in (1, -1):
        calculation = kernel.run(
            f"from ergane_kernel import recorder\nhonest = recorder.time\nrecorder.time = lambda: honest() + {hours} * 3600"
        )
        assert 0 <= calculation.outcome["end"] - calculation.outcome["start"] < 60
        kernel.run("recorder.time = honest")


def test_input_fails_at_once(shared: Kernel) -> None:
    calculation = shared.run("input('who? ')")
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "EOFError"
    assert calculation.stdout == "who? "


# A file that may not grow takes nothing more, as on a full disk.
FULL = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))\n"
ROOM = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
HELD = {
    "Python": "print('held', end='')",
    "C": "import ctypes; ctypes.CDLL(None).printf(b'held')",
}


@pytest.mark.parametrize("whose", HELD)
def test_output_that_cannot_be_written_is_a_failure_and_never_appears_in_another_block(
    kernel: Kernel, whose: str
) -> None:
    kernel.run("import os\nos.write(1, b'x' * 8192)")
    calculation = kernel.run(FULL + HELD[whose] + ";")
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "OSError"
    assert "File too large" in calculation.outcome["error"]["value"]
    assert "OSError: " in calculation.stderr
    assert calculation.stdout == ""
    following = kernel.run(ROOM + "print('mine')")
    assert (following.state, following.stdout, following.stderr) == ("COMPLETED", "mine\n", "")
