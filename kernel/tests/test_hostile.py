"""Blocks that damage the process they run in: an honest outcome for them, and the next block works."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from harness import Ended, Kernel

# name: code, state, stdout of the block (None: whatever)
SURVIVED = {
    "sys.exit": ("import sys; sys.exit(0)", "FAILED", ""),
    "quit closes stdin": ("quit()", "FAILED", ""),
    "raises BaseException": ("raise BaseException('b')", "FAILED", ""),
    "raises KeyboardInterrupt itself": ("raise KeyboardInterrupt", "FAILED", ""),
    "raises GeneratorExit": ("raise GeneratorExit", "FAILED", ""),
    "closes sys.stdout": ("import sys; print('kept'); sys.stdout.close()", "COMPLETED", "kept\n"),
    "closes both streams": ("import sys; print('kept'); sys.stdout.close(); sys.stderr.close()", "COMPLETED", "kept\n"),
    "fails without a stderr": ("import sys; sys.stderr.close(); sys.stderr = None; 1 / 0", "FAILED", ""),
    "sets sys.stdout to None": ("import sys; print('kept'); sys.stdout = None; print('gone')", "COMPLETED", "kept\n"),
    "deletes sys.stdout": ("import sys; del sys.stdout, sys.stderr, sys.stdin", "COMPLETED", ""),
    "redirects sys.stdout": ("import sys, io; sys.stdout = io.StringIO(); print('gone')", "COMPLETED", ""),
    "puts a hostile object for sys.stdout": (
        "import sys\nclass S:\n    def __getattr__(self, n): raise SystemExit(n)\nsys.stdout = sys.stderr = S()",
        None,
        None,
    ),
    "buffers before the spool": (
        "import sys, io\nsys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, 'w', closefd=False)))\nprint('held')",
        "COMPLETED",
        "held\n",
    ),
    "closes fd 1": ("import os; print('kept'); os.close(1)", "COMPLETED", "kept\n"),
    "closes fds 0 to 2": ("import os; print('kept'); os.closerange(0, 3)", "COMPLETED", "kept\n"),
    "fails after it closed fd 2": ("import os; os.close(2); 1 / 0", "FAILED", ""),
    "puts another file on fd 1": (
        "import os; print('kept'); os.dup2(os.open('/dev/null', os.O_WRONLY), 1); print('gone')",
        "COMPLETED",
        "kept\n",
    ),
    "takes append mode from fd 1": (
        "import fcntl; fcntl.fcntl(1, fcntl.F_SETFL, 0); print('kept')",
        "COMPLETED",
        "kept\n",
    ),
    "closes every descriptor it can": ("import os; print('kept'); os.closerange(0, 1000)", None, "kept\n"),
    "changes the directory": ("import os; os.chdir('/')", "COMPLETED", ""),
    "deletes its directory": ("import os, shutil; shutil.rmtree(os.getcwd())", "COMPLETED", ""),
    "clears the environment": ("import os; os.environ.clear()", "COMPLETED", ""),
    "clears sys.modules": ("import sys; sys.modules.clear()", "COMPLETED", ""),
    "clears sys.path": ("import sys; sys.path.clear()", "COMPLETED", ""),
    "deletes __builtins__": ("del __builtins__", "COMPLETED", ""),
    "deletes builtins": (
        "import builtins\nfor n in ('len', 'isinstance', 'getattr', 'open', 'print', 'Exception', 'str'): delattr(builtins, n)",
        "COMPLETED",
        "",
    ),
    "clears its globals": ("globals().clear()", "COMPLETED", ""),
    "breaks modules": (
        "import os, json, time, threading, socket, select, signal, io, traceback, ast\n"
        "for m in (json, time, threading, socket, select, signal, traceback, ast):\n"
        "    for n in dir(m):\n"
        "        if not n.startswith('_'): setattr(m, n, None)\n"
        "for n in ('open', 'write', 'fsync', 'rename', 'unlink', 'stat', 'fstat', 'getpid', 'dup2', 'close'): setattr(os, n, None)",
        "COMPLETED",
        "",
    ),
    "leaves hardly any recursion": ("import sys; sys.setrecursionlimit(60)", "COMPLETED", ""),
    "recurses without end": ("def f(): return f()\nf()", "FAILED", ""),
    "recurses with a huge limit": (
        "import sys; sys.setrecursionlimit(20_000)\ndef f(n): return n and f(n - 1)\nf(15_000)\nprint(1)",
        "COMPLETED",
        "1\n",
    ),
    "freezes the garbage": ("import gc; gc.freeze(); gc.disable(); gc.set_threshold(0)", "COMPLETED", ""),
    "an alarm that raises later": (
        "import signal\ndef ring(*_): raise RuntimeError('alarm')\nsignal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)",
        None,
        None,
    ),
    "takes SIGINT": ("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)", "COMPLETED", ""),
    "blocks SIGINT": ("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})", "COMPLETED", ""),
    "reaps and ignores children": ("import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "COMPLETED", ""),
    "traces everything": (
        "import sys\ndef trace(*a): raise RuntimeError('trace')\nsys.settrace(trace); sys.setprofile(None)",
        None,
        None,
    ),
    "replaces the hooks": ("import sys; sys.excepthook = sys.displayhook = None; 1 / 0", "FAILED", ""),
    "a thread that prints for ever": (
        "import threading, time\ndef loop():\n    while True: print('noise', file=noise); time.sleep(0.001)\n"
        "noise = open('/dev/null', 'w')\nthreading.Thread(target=loop, daemon=True).start()",
        "COMPLETED",
        "",
    ),
    "a thread that dies": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        "COMPLETED",
        "",
    ),
    "an asyncio loop of its own": (
        "import asyncio\nprint(asyncio.run(asyncio.sleep(0, 'slept')))",
        "COMPLETED",
        "slept\n",
    ),
    "a forked child that falls out": (
        "import os\npid = os.fork()\nif pid:\n    print('parent', os.waitpid(pid, 0)[1])\nelse:\n    print('child')",
        "COMPLETED",
        "child\nparent 0\n",
    ),
    "a forked child that fails": (
        "import os\npid = os.fork()\nif not pid: raise ValueError('in the child')\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        "COMPLETED",
        "1\n",
    ),
    "a forked child that exits": (
        "import os, sys\npid = os.fork()\nif not pid: sys.exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        "COMPLETED",
        "7\n",
    ),
    "multiprocessing": (
        "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))",
        "COMPLETED",
        "[1, 2]\n",
    ),
    "truncates the spool": ("import os; print('lost'); os.ftruncate(1, 0)", "COMPLETED", None),
    "deletes the spool": (
        "import os; print('lost'); os.unlink('../stdout'); os.unlink('../stderr')",
        "COMPLETED",
        None,
    ),
    "deletes the socket": ("import os; os.unlink('../kernel.sock')", "COMPLETED", ""),
    "deletes its outputs": (
        "import os, glob\nfor f in glob.glob('../calc/*/outputs.ndjson'): os.unlink(f)\n1",
        "COMPLETED",
        "",
    ),
    "too deep for the parser": ("(" * 5000 + ")" * 5000, "FAILED", ""),
    "a null byte": ("print('a')\0", "FAILED", ""),
    "an invalid escape": ("print('\\N{NOPE}')", "FAILED", ""),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_the_next_block_works_after_one_that(kernel: Kernel, name: str) -> None:
    code, state, stdout = SURVIVED[name]
    hostile = kernel.run(code)
    if state is not None:
        assert hostile.state == state, (hostile.outcome, hostile.stderr)
    if stdout is not None:
        assert hostile.stdout == stdout
    if hostile.state == "FAILED" and "stderr" not in name and "fd 2" not in name:
        assert hostile.outcome["error"]["name"].split(".")[-1] in hostile.stderr
    if "descriptor" in name:
        kernel.reconnect()
    following = kernel.run(
        "print('next'); import os, sys; print('error', file=sys.stderr); os.getcwd(); os.system('echo child')"
    )
    assert following.state == "COMPLETED", (following.outcome, following.stderr)
    assert (following.stdout, following.stderr) == ("next\nchild\n", "error\n")


ENDED = {
    "os._exit": ("import os; print('kept'); os._exit(7)", 7),
    "a segmentation fault": ("import ctypes; print('kept'); ctypes.string_at(0)", -signal.SIGSEGV),
    "SIGKILL": ("import os; print('kept'); os.kill(os.getpid(), 9)", -signal.SIGKILL),
    "abort": ("import os; print('kept'); os.abort()", -signal.SIGABRT),
}


@pytest.mark.parametrize("name", ENDED)
def test_the_process_ends_as_the_block_ended_it_and_the_output_is_kept(kernel: Kernel, name: str) -> None:
    code, status = ENDED[name]
    calculation = kernel.submit(code, answered=False)
    assert kernel.wait_end() == status
    assert kernel.spool("stdout") == "kept\n"
    assert (calculation.folder / "started.json").exists()
    assert not (calculation.folder / "outcome.json").exists()


UNRECORDED = {
    "its own folder": "import shutil, glob; shutil.rmtree(glob.glob('../calc/*')[0])",
    "all folders": "import shutil; shutil.rmtree('..', ignore_errors=True)",
    "the temporary outcome": "import glob, os; os.unlink(glob.glob('../calc/*/.outcome.json')[0])",
}


@pytest.mark.parametrize("name", UNRECORDED)
def test_an_outcome_without_a_folder_is_sent_by_the_socket_and_ends_the_kernel_after_a_block_deleted(
    kernel: Kernel, name: str
) -> None:
    server = kernel.server
    calculation = kernel.submit(f"print('kept')\n{UNRECORDED[name]}")
    event = server.event("done")
    assert event["id"] == calculation.id
    assert event["state"] == "COMPLETED"
    assert "No such file" in event["unrecorded"]
    assert kernel.wait_end() == 4


def test_an_outcome_is_written_on_a_full_disk(kernel: Kernel) -> None:
    """The block's own writes fail for want of room; a limit on file size stands for the disk."""
    calculation = kernel.run(
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\nprint('x' * 100_000)"
    )
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["name"] == "OSError"


@pytest.mark.parametrize("put", ["mkdir('../stdout')", "mkfifo('../stdout')", "symlink('/etc/passwd', '../stdout')"])
def test_what_a_block_put_in_the_place_of_the_spool_is_renamed(kernel: Kernel, put: str) -> None:
    kernel.run(f"import os; os.unlink('../stdout'); os.{put}")
    assert kernel.run("print(1)").stdout == "1\n"


def test_a_block_that_forked_leaves_nothing_of_the_kernel_open(kernel: Kernel) -> None:
    """The child outlives the kernel, and the server still sees the connection end."""
    calculation = kernel.run(
        "import os, time\nready, tell = os.pipe()\npid = os.fork()\n"
        "if not pid:\n    os.write(tell, b'x')\n    while os.getppid() > 1: time.sleep(0.01)\n    os._exit(0)\n"
        "os.read(ready, 1)\nprint(pid)"
    )
    child = int(calculation.stdout)
    targets = [os.readlink(link) for link in Path(f"/proc/{child}/fd").iterdir()]
    assert not [target for target in targets if target.startswith("socket:")]


def test_the_kernel_gives_no_descriptors_to_a_command(shared: Kernel) -> None:
    assert (
        json.loads(
            shared.run(
                "import os, subprocess; print(subprocess.check_output(['ls', '/proc/self/fd'], close_fds=False).split().__len__())"
            ).stdout
        )
        == 4
    )


def test_memory_is_not_kept_by_what_a_block_printed_or_raised(shared: Kernel) -> None:
    shared.run(
        "import gc, weakref\nclass Big: pass\ndef f():\n    local = Big(); global ref; ref = weakref.ref(local); 1 / 0\nf()"
    )
    assert shared.run("gc.collect(); print(ref() is None)").stdout == "True\n"


def test_a_dead_kernel_is_reported_by_the_harness(kernel: Kernel) -> None:
    calculation = kernel.submit("import os; os._exit(9)", answered=False)
    with pytest.raises(Ended, match="9"):
        calculation.await_outcome()
