"""Runs each calculation from its order to its end, and records durably how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from os import unlink
from time import monotonic, time
from typing import Any, NoReturn

from . import PROTOCOL, tracebacks
from .block import BlockRunner
from .calculation import Calculation
from .dispatcher import Dispatcher
from .files import Slot, write_json
from .mainthread import MainThread
from .outputs import Outputs
from .spool import Spool

UNRECORDED_STATUS = 4
WHY_CHARACTERS = 1000


class Recorder:
    """Its thread does the bookkeeping: user code runs on another one, and cannot raise into this."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        main: MainThread,
        runner: BlockRunner,
        spool: Spool,
        send: Callable[[dict[str, Any]], None],
        end: Callable[[int], NoReturn],
    ) -> None:
        self._dispatcher = dispatcher
        self._main = main
        self._runner = runner
        self._spool = spool
        self._send = send
        self._end = end

    def serve(self, idle_seconds: float, on_idle: Callable[[], None]) -> NoReturn:
        """on_idle is called after idle_seconds without a calculation, once between any two."""
        while True:
            calculation = self._dispatcher.next(idle_seconds)
            if calculation is None:
                on_idle()
                calculation = self._dispatcher.next()
            assert calculation is not None
            self._keep(calculation)

    def _keep(self, calculation: Calculation) -> None:
        now = time()
        verdict: dict[str, Any] = {
            "v": PROTOCOL,
            "id": calculation.id,
            "state": "FAILED",
            "error": None,
            "start": now,
            "end": now,
            "stdout": [0, 0],
            "stderr": [0, 0],
            "outputs": 0,
        }
        nowhere = verdict["stderr"]
        try:
            slot = Slot(calculation.folder, "outcome.json")
        except OSError as error:
            self._unrecorded(verdict, error)
        try:
            self._run(calculation, verdict)
        except Exception as error:
            # An error around the block, not in it: a full disk, code that is not text, a spool that cannot be opened.
            verdict["state"], verdict["error"] = "FAILED", self._report(error)
            with suppress(OSError):
                if verdict["stderr"] is not nowhere:
                    verdict["stderr"][1] = max(verdict["stderr"][0], self._spool.stderr.size())
            calculation.ended.set()
        self._dispatcher.finish(calculation)
        try:
            slot.commit(verdict)
        except OSError as error:
            self._unrecorded(verdict, error)
        slot.release()
        self._dispatcher.leave(calculation)
        self._send({"ev": "done", "id": calculation.id})

    def _run(self, calculation: Calculation, verdict: dict[str, Any]) -> None:
        """Runs a block from start to end. Fills verdict step by step, so that an error loses nothing of it."""
        begun = monotonic()
        stdout, stderr = self._spool.stdout, self._spool.stderr
        self._spool.repair()
        out, err = stdout.size(), stderr.size()
        verdict["stdout"], verdict["stderr"] = [out, out], [err, err]
        source = _read(f"{calculation.folder}/code.py")
        started = {"v": PROTOCOL, "id": calculation.id, "t": verdict["start"], "stdout": out, "stderr": err}
        outputs = Outputs(f"{calculation.folder}/outputs.ndjson")
        write_json(calculation.folder, "started.json", started)
        try:
            error = self._main.call(lambda: self._runner.run(calculation, source, outputs))
        except BaseException as escaped:
            error = self._report(escaped)
        calculation.ended.set()
        if self._dispatcher.close(calculation):
            calculation.swept.wait()
        unwritten = self._spool.flush()  # output of a thread, since the block's end
        if error is None and unwritten is not None:
            error = self._report(unwritten)
        verdict["state"], verdict["error"] = calculation.state(failed=error is not None), error
        verdict["stdout"][1], verdict["stderr"][1] = max(out, stdout.size()), max(err, stderr.size())
        verdict["outputs"] = outputs.close()
        verdict["end"] = verdict["start"] + monotonic() - begun  # the machine's clock may have been set meanwhile
        for file, (start, end) in ((stdout, verdict["stdout"]), (stderr, verdict["stderr"])):
            if end > start:
                file.sync()
        _remove(calculation.marker)

    def _report(self, error: BaseException) -> dict[str, str]:
        """Writes an error that is not the block's own to stderr, if the disk is not full."""
        described, text = tracebacks.words(error)
        try:
            self._spool.stderr.write(text)
        except OSError:
            pass  # the outcome has it nevertheless
        return described

    def _unrecorded(self, verdict: dict[str, Any], error: OSError) -> NoReturn:
        """The outcome cannot be written: sends the verdict by the socket; the exit status says that this happened."""
        self._send({"ev": "done", **verdict, "unrecorded": str(error)[:WHY_CHARACTERS]})
        self._end(UNRECORDED_STATUS)


def _read(path: str) -> str:
    with open(path, "rb") as file:  # as bytes: the compiler handles line ends
        return file.read().decode("utf-8-sig")


def _remove(path: str) -> None:
    try:
        unlink(path)
    except OSError:
        pass  # the usual case: there was no order, or the block took it
