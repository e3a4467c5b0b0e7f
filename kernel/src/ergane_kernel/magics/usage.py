"""The error of a magic that was called wrongly: one line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from IPython.core.error import UsageError as IPythonUsageError

if TYPE_CHECKING:
    from ..shell import Shell


class UsageError(IPythonUsageError):
    """Fails the block. IPython's own UsageError would be shown with its module's name."""


UsageError.__module__ = "builtins"


def unknown(shell: Shell, kind: str, name: str) -> NoReturn:
    """Raises the error for a magic that is not there."""
    if name.startswith("%"):  # IPython takes a cell magic below the first line for the line magic `%name`
        raise UsageError(f"%{name} must be the first line of its block")
    if kind == "line" and shell.find_cell_magic(name):
        raise UsageError(f"%{name} is a cell magic: begin the block with %%{name}")
    if kind == "cell" and shell.find_line_magic(name):
        raise UsageError(f"%%{name} is a line magic: write %{name}")
    raise UsageError(f"there is no magic {'%' if kind == 'line' else '%%'}{name}; %lsmagic lists those there are")


def words(line: str) -> list[str]:
    """The words in a magic's line, without a comment at its end."""
    return line.split("#", 1)[0].split()
