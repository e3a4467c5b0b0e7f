"""The magics of Athena's notebooks, for every block. Imported at the first use of any magic.

A magic is a method whose name is the magic's; its docstring is its help: the first line for %lsmagic, all of it for
%help and for `%name?`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import refused
from .environment import EnvironmentMagics
from .figures import FigureMagics
from .guide import GuideMagics
from .loglevel import LoggingMagics
from .packages import PackageMagics
from .session import SessionMagics
from .sql import SqlMagics
from .table import TableMagics

if TYPE_CHECKING:
    from ..shell import Shell

# In the order in which %lsmagic lists them.
GROUPS: tuple[Any, ...] = (
    SqlMagics,
    TableMagics,
    FigureMagics,
    SessionMagics,
    LoggingMagics,
    EnvironmentMagics,
    PackageMagics,
    GuideMagics,
)


def load(shell: Shell) -> dict[tuple[str, str], Any]:
    """Our magics and our refusals of IPython's, by kind (line, cell) and name."""
    ours: dict[tuple[str, str], Any] = {}
    for group in GROUPS:
        instance = group(shell)
        for kind in ("line", "cell"):
            for name in getattr(group, kind, ()):
                ours[kind, name] = getattr(instance, name)
                shell.register_magic_function(ours[kind, name], kind, name)  # for completion
    refused.silence()
    return {**ours, **refused.refusals()}
