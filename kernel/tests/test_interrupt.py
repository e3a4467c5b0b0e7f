"""An order to stop reaches the block it names, whatever that does, and no other block."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from harness import Kernel

STOPPED = {
    "a loop": "print('on')\nwhile True: pass",
    "a sleep": "import time\nprint('on'); time.sleep(1000)",
    "os.system": "import os\nprint('on'); os.system('sleep 1000'); print('after')",
    "os.system of a pipeline": "import os\nprint('on'); os.system('sleep 1000 | cat; sleep 1000'); print('after')",
    "subprocess": "import subprocess\nprint('on'); subprocess.run(['sleep', '1000'])",
    "a shell escape": "print('on')\n!sleep 1000",
    "a thread pool": (
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n"
        "futures = [pool.submit(time.sleep, 3) for _ in range(2)]\nprint('on')\nfutures[0].result()"
    ),
    "a process pool": "import multiprocessing as m, time\npool = m.get_context('fork').Pool(2)\nprint('on')\npool.map(time.sleep, [1000, 1000])",
    "a lock": "import threading\nprint('on'); threading.Lock().acquire(); lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "asyncio at the top": "import asyncio\nprint('on')\nawait asyncio.sleep(1000)",
    "asyncio.run": "import asyncio\nprint('on')\nasyncio.run(asyncio.sleep(1000))",
    "a socket": "import socket\na, b = socket.socketpair()\nprint('on'); a.recv(1)",
    "a repr": "import time\nclass R:\n    def __repr__(self): print('on'); time.sleep(1000)\nR()",
    "a destructor": "import time\nclass D:\n    def __del__(self): print('on'); time.sleep(1000)\nD()\ntime.sleep(1000)",
    "a callback of a weak reference": (
        "import time, weakref\nclass W: pass\nw = W()\n"
        "r = weakref.ref(w, lambda _: (print('on'), time.sleep(1000)))\ndel w\nwhile True: pass"
    ),
    "an exception's text": "import time\nclass E(Exception):\n    def __str__(self): print('on'); time.sleep(1000)\nraise E",
    "a handler of its own": "import signal, time\nsignal.signal(signal.SIGUSR1, print)\nprint('on'); time.sleep(1000)",
    "a class of its own around KeyboardInterrupt": "import time\ntry:\n    print('on'); time.sleep(1000)\nexcept KeyboardInterrupt as e:\n    raise RuntimeError('stopped') from e",
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_block_is_stopped_in(kernel: Kernel, name: str) -> None:
    kernel.run("kept = 'kept'")
    calculation = kernel.submit(STOPPED[name])
    calculation.await_stdout("on")
    outcome = calculation.interrupt()
    assert outcome["state"] == "CANCELED", (outcome, calculation.stderr)
    # Forked children say where they were interrupted, in our handler, too.
    assert "process pool" in name or "ergane_kernel" not in calculation.stderr
    assert "Exception ignored" not in calculation.stderr
    assert "after" not in calculation.stdout or "os.system" in name
    assert not (calculation.folder / "interrupt").exists()
    assert kernel.run("print(kept)").stdout == "kept\n"


def test_the_traceback_says_where_it_stopped(kernel: Kernel) -> None:
    calculation = kernel.submit("import time\nprint('on')\ntime.sleep(1000)")
    calculation.await_stdout("on")
    outcome = calculation.interrupt()
    assert calculation.stderr == '  File "<stdin>", line 3, in <module>\nKeyboardInterrupt\n'
    assert outcome["error"] == {"name": "KeyboardInterrupt", "value": ""}


def test_an_order_before_the_first_line_takes_effect_there(kernel: Kernel) -> None:
    for _ in range(20):
        calculation = kernel.submit("print('ran')\nimport time\ntime.sleep(1000)")
        assert kernel.server.ask(op="interrupt", id=calculation.id)["ok"]
        calculation.strike()
        assert calculation.await_outcome()["state"] == "CANCELED"


def test_an_existing_marker_stops_a_block_without_a_signal(kernel: Kernel) -> None:
    kernel.server.ask(op="ping")
    held = kernel.submit("import threading; threading.Event().wait(0.3)")
    assert kernel.server.ask(op="interrupt", id=held.id)["ok"]
    held.strike()
    held.await_outcome()
    import uuid

    from harness import Calculation

    calculation = Calculation(kernel, str(uuid.uuid4()))
    calculation.folder.mkdir()
    (calculation.folder / "code.py").write_text("print('ran')")
    (calculation.folder / "interrupt").touch()
    assert kernel.server.ask(op="exec", id=calculation.id)["state"] == "accepted"
    kernel.server.ask(op="interrupt", id=calculation.id)
    calculation.await_outcome()
    assert calculation.stdout == ""
    assert calculation.outcome["error"]["name"] == "KeyboardInterrupt"


def test_an_order_by_the_socket_needs_no_marker(kernel: Kernel) -> None:
    calculation = kernel.submit("print('on')\nwhile True: pass")
    calculation.await_stdout("on")
    answer = kernel.server.ask(op="interrupt", id=calculation.id)
    assert (answer["ok"], answer["pending"]) == (True, False)
    os.kill(kernel.process.pid, signal.SIGINT)  # nothing has been ordered for it
    answer = kernel.server.ask(op="interrupt", id=calculation.id, strike=True)
    assert (answer["ok"], answer["pending"]) == (True, True)
    os.kill(kernel.process.pid, signal.SIGINT)
    assert calculation.await_outcome()["state"] == "CANCELED"
    assert not kernel.server.ask(op="interrupt", id=calculation.id)["pending"]
    assert kernel.run("import time\ntime.sleep(0.1)\nprint('next')").stdout == "next\n"


def test_an_order_by_the_socket_before_the_first_line_takes_effect_there(kernel: Kernel) -> None:
    for _ in range(20):
        calculation = kernel.submit("import time\ntime.sleep(1000)")
        assert kernel.server.ask(op="interrupt", id=calculation.id, strike=True)["ok"]
        os.kill(kernel.process.pid, signal.SIGINT)
        assert calculation.await_outcome()["state"] == "CANCELED"


def test_code_that_catches_the_first_is_stopped_by_the_second(kernel: Kernel) -> None:
    calculation = kernel.submit(
        "import time\ntry:\n    print('on'); time.sleep(1000)\nexcept KeyboardInterrupt:\n    print('caught')\nprint('goes on')\ntime.sleep(1000)"
    )
    calculation.await_stdout("on")
    kernel.server.ask(op="interrupt", id=calculation.id)
    calculation.strike()
    calculation.await_stdout("goes on")
    calculation.strike()
    assert calculation.await_outcome()["state"] == "CANCELED"
    assert calculation.stdout == "on\ncaught\ngoes on\n"


def test_code_that_ends_by_itself_when_asked_has_completed(kernel: Kernel) -> None:
    calculation = kernel.submit(
        "import time\ntry:\n    print('on'); time.sleep(1000)\nexcept KeyboardInterrupt:\n    print('tidy')"
    )
    calculation.await_stdout("on")
    outcome = calculation.interrupt()
    assert (outcome["state"], outcome["error"]) == ("COMPLETED", None)


def test_a_block_that_took_the_interrupt_before_the_order_was_read_is_canceled(kernel: Kernel) -> None:
    calculation = kernel.submit("import time\nprint('on'); time.sleep(1000)")
    calculation.await_stdout("on")
    calculation.strike()
    assert calculation.await_outcome()["state"] == "CANCELED"


def test_a_signal_without_an_order_has_no_effect(kernel: Kernel) -> None:
    calculation = kernel.submit("import time\nprint('on')\nfor _ in range(100): time.sleep(0.001)\nprint('through')")
    calculation.await_stdout("on")
    for _ in range(20):
        calculation.signal()
    assert calculation.await_outcome()["state"] == "COMPLETED"
    calculation.signal()
    assert kernel.run("print('next')").stdout == "next\n"


def test_an_order_for_another_calculation_is_refused(kernel: Kernel) -> None:
    first = kernel.run("1")
    second = kernel.submit("import threading; go = threading.Event(); print('on'); go.wait(0.2)")
    assert kernel.server.ask(op="interrupt", id=first.id)["ok"] is False
    first.strike()  # even with its marker and a signal
    assert second.await_outcome()["state"] == "COMPLETED"


def test_a_child_that_left_the_group_is_left_alone(kernel: Kernel) -> None:
    calculation = kernel.submit(
        "import subprocess, time\nown = subprocess.Popen(['sleep', '1000'])\nother = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint('on'); time.sleep(1000)"
    )
    calculation.await_stdout("on")
    assert calculation.interrupt()["state"] == "CANCELED"
    assert kernel.run("print(own.wait(), other.poll())\nother.kill()\nother.wait();").stdout == "-2 None\n"


def test_no_order_ever_hits_the_next_block(kernel: Kernel) -> None:
    """200 blocks that end just when they are ordered to stop; each is followed by one without an order."""
    rng = random.Random(7)
    states = set()
    for _ in range(200):
        calculation = kernel.submit("sum(range(2000))")
        pause = time.perf_counter() + rng.random() * 0.004
        while time.perf_counter() < pause:
            pass
        if kernel.server.ask(op="interrupt", id=calculation.id)["ok"]:
            calculation.strike()
        states.add(calculation.await_outcome()["state"])
        calculation.signal()
        following = kernel.submit("x = 0\nfor i in range(3000): x += i\nprint(x)")
        calculation.strike()
        assert following.await_outcome()["state"] == "COMPLETED", following.stderr
        assert following.stdout == "4498500\n"
    assert states <= {"COMPLETED", "CANCELED"}
    assert len(states) == 2
