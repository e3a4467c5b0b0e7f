"""IPython's shell for namespace, display and completion of user code, with our own way to run a block."""

from __future__ import annotations

import sys
from collections.abc import Callable
from logging import Logger
from os import getpid
from subprocess import call
from typing import Any

from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
from traitlets import Type
from traitlets.config import Config

from . import tracebacks
from .compiler import Compiler
from .facts import Session
from .figures import png
from .outputs import Outputs
from .tracebacks import USER_FILE
from .transform import LineKeeper

MAX_MATCHES = 200
MAX_INSPECTION = 32 << 10


class _Publisher(DisplayPublisher):
    """Writes what display() and matplotlib publish as a line of the running calculation's outputs."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: Any = None,  # noqa: ARG002 - older IPythons pass it
        **_: Any,
    ) -> None:
        self.shell.emit(data, metadata)

    def clear_output(self, wait: bool = False) -> None:
        """Does nothing: outputs that are written cannot be removed from the file."""


class Shell(InteractiveShell):
    display_pub_class = Type(_Publisher)

    outputs: Outputs | None = None
    session = Session()
    loggers: dict[str, Logger] = {}  # noqa: RUF012 - the kernel sets both
    write_error: Callable[[str], Any] = sys.stderr.write
    _format_errors: list[BaseException] | None = None  # while the last value is shown
    _loop: Any = None
    _magics: dict[tuple[str, str], Any] | None = None  # by kind and name; None until the first use of a magic
    _pid = getpid()

    def init_display_formatter(self) -> None:
        super().init_display_formatter()
        self.display_formatter.active_types = self.display_formatter.format_types  # not only text/plain
        # Figures are images without pyplot, too; pyplot has its own way of showing them.
        self.display_formatter.formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", png)

    def init_user_ns(self) -> None:
        super().init_user_ns()
        for name in ("exit", "quit"):
            self.user_ns.pop(name, None)  # IPython's versions end a terminal; Python's own raise SystemExit
        self.input_transformer_manager = LineKeeper()
        self.compiler = Compiler(self.transform_cell)

    def enable_gui(self, gui: Any = None) -> None:
        """There is no screen."""

    def system(self, command: str) -> None:
        """`!cmd`: writes straight to the spool, and does not swallow an interrupt as IPython's own does."""
        self.user_ns["_exit_code"] = call(self.var_expand(command, depth=1), shell=True)

    # ---- one block ----

    def execute(self, source: str) -> None:
        """Runs a block in the user's namespace and shows its last value. Raises what the block raises."""
        program = self.compiler.compile(source)
        self.execution_count += 1
        result = ExecutionResult(ExecutionInfo(source, False, False, True, None))
        self.events.trigger("pre_execute")
        self.events.trigger("pre_run_cell", result.info)
        try:
            self._run(program.body)
            if program.last is not None:
                self._show(self._run(program.last))
        except BaseException as error:
            result.error_in_exec = error
            raise
        finally:
            self.events.trigger("post_execute")  # matplotlib shows its figures here
            self.events.trigger("post_run_cell", result)
            result.error_in_exec = None  # it holds the block's frames

    def _run(self, code: Any) -> Any:
        value = eval(code, self.user_ns)
        return self._await(value) if code.co_flags & 0x80 else value  # CO_COROUTINE: top-level await

    def _await(self, coroutine: Any) -> Any:
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()  # an interrupted block must not go on during a later one
                self._loop.run_until_complete(asyncio.wait([task], timeout=1))
            raise

    def _show(self, value: Any) -> None:
        if value is None:
            return
        errors = self._format_errors = []
        try:
            data, metadata = self.display_formatter.format(value)
        finally:
            self._format_errors = None
        if errors and "text/plain" not in data:
            raise errors[0]
        for error in errors:
            self.write_error(tracebacks.text(error))
        self.user_ns["_"] = value
        if data:
            self.display_pub.publish(data, metadata)

    def emit(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        if self.outputs is not None and getpid() == self._pid:  # forked children have no results
            self.outputs.emit(data, metadata)

    # ---- magics: read at first use, since most blocks have none ----

    def magics(self) -> dict[tuple[str, str], Any]:
        """Ours, by kind (line, cell) and name."""
        if self._magics is None:
            from .magics import load

            self._magics = load(self)
        return self._magics

    # Ours come first: IPython reads its own in groups, whenever it needs one, and replaces what is registered by then.

    def find_line_magic(self, magic_name: str) -> Any:
        return self.magics().get(("line", magic_name)) or super().find_line_magic(magic_name)

    def find_cell_magic(self, magic_name: str) -> Any:
        return self.magics().get(("cell", magic_name)) or super().find_cell_magic(magic_name)

    def _find_with_lazy_load(self, type_: str, magic_name: str) -> Any:
        """Called for every run of a magic, and only then: an unknown magic raises our own error."""
        found = self.magics().get((type_, magic_name)) or super()._find_with_lazy_load(type_, magic_name)
        if found is None:
            from .magics.usage import unknown

            unknown(self, type_, magic_name)
        return found

    def run_cell(self, raw_cell: str, *_: Any, **__: Any) -> Any:
        """For magics that run the rest of their block (%%capture): its exceptions are the block's."""
        self.execute("\n" * _line_of_magic() + raw_cell)
        return ExecutionResult(ExecutionInfo(raw_cell, False, False, True, None))

    def safe_execfile(self, fname: Any, *where: Any, exit_ignore: bool = False, **options: Any) -> None:
        """For %run: a script that fails makes the block fail."""
        try:
            super().safe_execfile(fname, *where, **{**options, "raise_exceptions": True})
        except SystemExit:
            if not exit_ignore:
                raise

    # ---- errors: one text for all, where IPython would print its own ----

    def showtraceback(self, exc_tuple: Any = None, *_: Any, **__: Any) -> None:
        error = (exc_tuple or sys.exc_info())[1]
        if error is None:
            return
        if self._format_errors is not None:
            self._format_errors.append(error)
        else:
            self.write_error(tracebacks.text(error))

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        self.showtraceback()

    # ---- help while nothing runs ----

    def completions(self, code: str, position: int) -> dict[str, Any]:
        self.magics()
        text, matches = self.complete(code, cursor_pos=position)
        return {"matches": matches[:MAX_MATCHES], "start": position - len(text), "end": position}

    def inspection(self, code: str, position: int) -> dict[str, Any]:
        from IPython.utils.tokenutil import token_at_cursor

        data = self.object_inspect_mime(token_at_cursor(code, position), detail_level=0)
        return {"text": data.get("text/plain", "")[:MAX_INSPECTION]}


def _line_of_magic() -> int:
    """The line of the block whose cell magic runs; 0 where none does."""
    frame = sys._getframe(2)
    in_magic = False
    while frame is not None:
        in_magic |= frame.f_code.co_name == "run_cell_magic"
        if in_magic and frame.f_code.co_filename == USER_FILE:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def make_shell(directory: str, write_error: Callable[[str], None]) -> Shell:
    """directory is for the files of IPython."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.automagic = False  # a typing error must not become a magic
    config.InteractiveShell.display_page = True
    config.InteractiveShell.cache_size = 0
    config.Completer.use_jedi = False
    shell = Shell.instance(ipython_dir=directory, config=config)
    assert isinstance(shell, Shell)
    shell.write_error = write_error
    for name in ("exit", "quit"):
        shell.builtin_trap.auto_builtins.pop(name, None)  # it would hide Python's own, which raises SystemExit
    shell.builtin_trap.__enter__()  # makes get_ipython() available in modules, too, until the end
    return shell
