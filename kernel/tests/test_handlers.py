"""Signal handlers, timers and trace functions of user code run while user code runs, and do not reach into our part."""

from __future__ import annotations

import pytest

from harness import Kernel

RING = "import os, signal, sys, threading\ndef ring(*_): raise RuntimeError('ring')\n"

# How a signal comes: for the main thread, or taken by another one, whose mask is its own.
WAYS = {
    "to the process": "def strike(): os.kill(os.getpid(), signal.SIGUSR1)\n",
    "to another thread": (
        "def strike():\n"
        "    t = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1))\n"
        "    t.start(); t.join()\n"
    ),
}

# Sends a signal in the middle of our report of the block.
IN_OUR_PART = (
    "from ergane_kernel import tracebacks\nhonest = tracebacks.describe\n"
    "def describe(error):\n    tracebacks.describe = honest; strike(); return honest(error)\n"
    "tracebacks.describe = describe\n"
)


@pytest.mark.parametrize("way", WAYS)
def test_a_signal_in_our_part_is_handled_in_the_next_block(kernel: Kernel, way: str) -> None:
    kernel.run(RING + WAYS[way])
    for handler in ("ring", "lambda *_: print('handled')"):
        failed = kernel.run(f"signal.signal(signal.SIGUSR1, {handler});\n{IN_OUR_PART}1 / 0")
        assert failed.outcome["error"] == {"name": "ZeroDivisionError", "value": "division by zero"}
        assert failed.stderr == '  File "<stdin>", line 7, in <module>\nZeroDivisionError: division by zero\n'
        following = kernel.run("print('ran')")
        if handler == "ring":
            assert following.outcome["error"] == {"name": "RuntimeError", "value": "ring"}
            assert following.stderr == '  File "<stdin>", line 2, in ring\nRuntimeError: ring\n'
        else:
            assert following.stdout == "handled\nran\n"
        assert kernel.run("print('ran')").stdout == "ran\n"


def test_a_handler_is_the_users_in_every_block(kernel: Kernel) -> None:
    kernel.run(RING + "signal.signal(signal.SIGUSR1, ring);")
    following = kernel.run("print(signal.getsignal(signal.SIGUSR1) is ring)\nsignal.raise_signal(signal.SIGUSR1)")
    assert following.stdout == "True\n"
    assert following.stderr.endswith("RuntimeError: ring\n")
    kernel.run("signal.signal(signal.SIGUSR1, signal.SIG_IGN);")
    assert kernel.run("signal.raise_signal(signal.SIGUSR1)\nprint('ignored')").stdout == "ignored\n"


def test_a_timer_ends_with_its_block(kernel: Kernel) -> None:
    kernel.run(RING + "signal.signal(signal.SIGALRM, ring); signal.alarm(3600);")
    assert kernel.run("print(signal.getitimer(signal.ITIMER_REAL), signal.alarm(0))").stdout == "(0.0, 0.0) 0\n"


def test_an_alarm_at_the_end_has_its_traceback(kernel: Kernel) -> None:
    """The alarm comes anywhere in the last steps of a block, and never after them."""
    kernel.run(RING + "signal.signal(signal.SIGALRM, ring)\ntry: pass\nfinally: pass")
    for turn in range(100):
        calculation = kernel.run(f"signal.setitimer(signal.ITIMER_REAL, {1 + 10 * turn}e-6, 1e-4);")
        if calculation.state == "FAILED":
            assert calculation.outcome["error"] == {"name": "RuntimeError", "value": "ring"}
            assert calculation.stderr.endswith("RuntimeError: ring\n")
        following = kernel.run("print('next')")
        assert (following.state, following.stdout, following.stderr) == ("COMPLETED", "next\n", "")


def test_every_failure_has_its_traceback_under_a_flood_of_signals(kernel: Kernel) -> None:
    """A thread sends signals without a pause, at the block's beginning, its end, and in our part."""
    kernel.run(
        f"{RING}import time\nfor n in (signal.SIGUSR1, signal.SIGUSR2): signal.signal(n, ring)\n"
        "def storm():\n    while not os.path.exists('calm'):\n        for n in (signal.SIGUSR1, signal.SIGUSR2): os.kill(os.getpid(), n)\n"
        "        time.sleep(0.0002)\n"
    )
    kernel.run("thread = threading.Thread(target=storm, daemon=True); thread.start();")
    for _ in range(50):
        calculation = kernel.run("x = sum(range(1000))")
        if calculation.state == "FAILED":
            assert calculation.outcome["error"] == {"name": "RuntimeError", "value": "ring"}
            assert calculation.stderr.endswith("RuntimeError: ring\n")
    (kernel.work / "tmp" / "calm").touch()
    kernel.until(lambda: kernel.run("thread.join(); print('calm')").stdout == "calm\n", "calm")
    assert kernel.run("print('next')").state == "COMPLETED"


def test_a_trace_function_sees_blocks_and_not_us(kernel: Kernel) -> None:
    kernel.run(
        "import sys\nseen = set()\ndef trace(frame, *_): seen.add(frame.f_code.co_name)\ndef f(): pass\nsys.settrace(trace);"
    )
    kernel.run("f()")
    following = kernel.run(
        "kept = sys.gettrace() is trace; sys.settrace(None); print(kept, 'f' in seen, '_report' in seen)"
    )
    assert following.stdout == "True True False\n"


@pytest.mark.parametrize("code", ["1 / 0", "None"])
def test_a_trace_function_that_raises_has_its_traceback(kernel: Kernel, code: str) -> None:
    calculation = kernel.run(f"import sys\ndef trace(*_): raise RuntimeError('trace')\nsys.settrace(trace)\n{code}")
    if calculation.state == "FAILED":
        assert calculation.outcome["error"]["name"] in calculation.stderr
    assert kernel.run("print('next')").stdout == "next\n"


def test_an_order_in_the_text_of_an_exception_has_its_traceback(kernel: Kernel) -> None:
    calculation = kernel.submit(
        "import time\nclass E(Exception):\n    def __str__(self): print('on'); time.sleep(1000)\nraise E"
    )
    calculation.await_stdout("on")
    assert calculation.interrupt()["state"] == "CANCELED"
    assert calculation.stderr == '  File "<stdin>", line 3, in __str__\nKeyboardInterrupt\n'


def test_an_exception_raised_by_the_text_of_an_exception_is_reported(kernel: Kernel) -> None:
    calculation = kernel.run("class E(Exception):\n    def __str__(self): raise SystemExit(3)\nraise E")
    assert calculation.outcome["error"] == {"name": "SystemExit", "value": "3"}
    assert calculation.stderr.endswith("SystemExit: 3\n")


def test_an_error_around_a_block_is_written_to_stderr(kernel: Kernel) -> None:
    kernel.run("import sys; print('before', file=sys.stderr)")
    calculation = kernel.run(b"print('\xff')")
    assert calculation.outcome["error"]["name"] == "UnicodeDecodeError"
    assert "UnicodeDecodeError: " in calculation.stderr and "before" not in calculation.stderr
    assert calculation.stdout == ""
