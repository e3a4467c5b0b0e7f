"""The socket: who may speak, what is answered, what is refused."""

from __future__ import annotations

import contextlib
import json
import stat
import uuid
from pathlib import Path

from harness import TOKEN, Calculation, Kernel

HOLD = "import threading; go = threading.Event(); print('on'); go.wait()"


def test_only_the_owner_can_use_the_socket(shared: Kernel) -> None:
    shared.server.ask(op="ping")
    mode = (shared.work / "kernel.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    for name in ("stdout", "stderr", "ready.json"):
        assert stat.S_IMODE((shared.work / name).stat().st_mode) == 0o600


def test_ready_is_a_file_an_event_and_a_fact_of_hello(kernel: Kernel) -> None:
    server = kernel.connect()
    kernel.until((kernel.work / "ready.json").exists, "ready")
    assert json.loads((kernel.work / "ready.json").read_text()) == {"v": 1, "ok": True, "spark": None}
    server.close()
    answer = kernel.dial().ask(op="hello", v=1, token=TOKEN, epoch=9)
    assert (answer["ready"], answer["current"]) == (True, None)


def test_the_folder_may_have_a_path_longer_than_a_socket_address(shared: Kernel) -> None:
    """The listener is bound through its folder's descriptor, so no path of a session can be too long."""
    assert "/proc/self/fd" not in str(shared.work)
    assert shared.server.ask(op="ping")["current"] is None


def test_a_wrong_token_closes_the_connection_without_an_answer(shared: Kernel) -> None:
    for message in ({"token": "0" * 64}, {"token": "ü"}, {"token": 7}, {}):
        peer = shared.dial()
        peer.send(op="hello", v=1, epoch=1000, **message)
        assert peer.at_end()


def test_nothing_is_answered_before_hello(shared: Kernel) -> None:
    peer = shared.dial()
    peer.send(op="ping")
    assert peer.at_end()


def test_only_a_higher_epoch_takes_over(kernel: Kernel) -> None:
    first = kernel.dial()
    assert first.ask(op="hello", v=1, token=TOKEN, epoch=5)["v"] == 1
    for epoch in (5, 4, None, "6", True):
        second = kernel.dial()
        assert second.ask(op="hello", v=1, token=TOKEN, epoch=epoch)["err"] == "epoch"
        assert second.at_end()
    assert first.ask(op="ping")["current"] is None
    third = kernel.dial()
    assert third.ask(op="hello", v=1, token=TOKEN, epoch=6)["v"] == 1
    assert first.at_end()


def test_an_order_of_a_replaced_server_never_runs(kernel: Kernel) -> None:
    """Orders that lie unread in the old connection when the new server is welcomed are gone."""
    kernel.server.ask(op="ping")
    for turn in range(30):
        old, ids = kernel.server, [str(uuid.uuid4()) for _ in range(2)]
        for id in ids:
            (kernel.work / "calc" / id).mkdir(parents=True)
            (kernel.work / "calc" / id / "code.py").write_text("print('ran')")
        new = kernel.dial()
        n = new.send(op="hello", v=1, token=TOKEN, epoch=100 + turn)
        with contextlib.suppress(OSError):
            old.send(op="exec", id=ids[0])
        answer = new.answer(n)
        with contextlib.suppress(OSError):
            old.send(op="exec", id=ids[1])
        kernel._server = new
        if answer["current"] == ids[0]:  # it came before the welcome, and the new server is told so
            Calculation(kernel, ids[0]).await_outcome()
        assert new.ask(op="exec", id=str(uuid.uuid4()))["err"] == "no code"
        assert not (kernel.work / "calc" / ids[1] / "started.json").exists()


def test_garbage_ends_the_connection_and_not_the_kernel(shared: Kernel) -> None:
    for garbage in (b"not json\n", b"[1]\n", b"null\n", b"\xff\xfe\n", b"{" * 70_000, b"[" * 60_000 + b"\n", b"\n"):
        peer = shared.dial()
        peer.peer.sendall(garbage)
        assert peer.at_end()
    assert shared.server.ask(op="ping")["current"] is None


def test_frames_may_come_in_pieces_and_together(shared: Kernel) -> None:
    server = shared.server
    server.peer.sendall(b'{"op":"pi')
    server.peer.sendall(b'ng","n":1001}\n{"op":"ping","n":1002}\n')
    assert server.answer(1001)["current"] is None
    assert server.answer(1002)["current"] is None


def test_unknown_and_malformed_orders_are_refused(shared: Kernel) -> None:
    server = shared.server
    assert server.ask(op="fly")["err"] == "unknown op"
    assert server.ask(op=["x"])["err"] == "unknown op"
    for id in ("../../etc", "", None, 7, "a/b", "x" * 65, "é"):
        assert server.ask(op="exec", id=id)["err"] == "bad id"
    assert server.ask(op="exec", id=str(uuid.uuid4()))["err"] == "no code"
    assert server.ask(op="interrupt", id=str(uuid.uuid4()))["ok"] is False
    assert server.ask(op="interrupt")["ok"] is False
    assert server.ask(op="complete", code=1)["err"] == "bad request"


def test_an_order_given_again_is_the_same_order(kernel: Kernel) -> None:
    calculation = kernel.submit(HOLD)
    server = kernel.server
    assert server.ask(op="exec", id=calculation.id)["state"] == "running"
    assert server.ask(op="ping")["current"] == calculation.id
    other = str(uuid.uuid4())
    assert server.ask(op="exec", id=other)["err"] == "busy"
    calculation.await_stdout("on")
    assert calculation.interrupt()["state"] == "CANCELED"
    server.event("done")
    assert server.ask(op="exec", id=calculation.id)["state"] == "done"
    assert server.ask(op="ping")["current"] is None


def test_a_calculation_with_a_started_file_is_never_run_again(shared: Kernel) -> None:
    id = str(uuid.uuid4())
    folder = shared.work / "calc" / id
    folder.mkdir(parents=True)
    (folder / "code.py").write_text("print('again')")
    (folder / "started.json").write_text("{}")
    assert shared.server.ask(op="exec", id=id)["state"] == "done"


def test_the_next_order_is_taken_as_soon_as_the_outcome_is_seen(shared: Kernel) -> None:
    for _ in range(50):
        shared.run("1")  # submit() demands "accepted" of the next


def test_done_wakes_the_server(shared: Kernel) -> None:
    calculation = shared.run("1")
    while (event := shared.server.event("done"))["id"] != calculation.id:
        pass
    assert set(event) == {"ev", "id"}


def test_control_answers_while_a_block_computes(kernel: Kernel) -> None:
    calculation = kernel.submit("print('on')\nwhile True: pass")
    calculation.await_stdout("on")
    for _ in range(5):
        assert kernel.server.ask(op="ping")["current"] == calculation.id
    assert kernel.server.ask(op="executors") == {"re": kernel.server._n, "executors": [], "error": "Spark is not there"}
    assert kernel.server.ask(op="progress", id=calculation.id)["tasks"] == 0
    assert calculation.interrupt()["state"] == "CANCELED"


def test_a_server_that_does_not_read_delays_nothing(kernel: Kernel) -> None:
    deaf = kernel.connect()
    kernel.until((kernel.work / "ready.json").exists, "ready")
    for n in range(2000):
        try:
            deaf.peer.setblocking(False)
            deaf.peer.sendall(b'{"op":"complete","code":"","pos":0,"n":%d}\n' % n)
        except OSError:
            break
    kernel.connect().close()
    assert kernel.run("print('works')").stdout == "works\n"


def test_shutdown_is_answered_and_ends_with_status_zero(kernel: Kernel) -> None:
    assert kernel.server.ask(op="shutdown") == {"re": kernel.server._n}
    assert kernel.wait_end() == 0


def test_shutdown_ends_a_block_that_runs(kernel: Kernel) -> None:
    calculation = kernel.submit(HOLD)
    calculation.await_stdout("on")
    kernel.server.ask(op="shutdown")
    assert kernel.wait_end() == 0
    assert not (calculation.folder / "outcome.json").exists()


def test_three_threads_and_little_memory_while_idle(kernel: Kernel) -> None:
    kernel.run("print(1)")

    def status() -> dict[str, str]:
        text = Path(f"/proc/{kernel.process.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines())

    # That which ran for the block ends a moment after it.
    kernel.until(lambda: int(status()["Threads"]) == 3, "three threads")
    assert int(status()["VmRSS"].split()[0]) < 60_000


def test_a_boot_document_of_another_version_is_refused() -> None:
    with Kernel({"v": 2}) as kernel:
        assert kernel.wait_end() == 1
        assert "version 2" in kernel.words()
