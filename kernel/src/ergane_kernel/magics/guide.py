"""%help and %lsmagic."""

from __future__ import annotations

from inspect import getdoc
from textwrap import fill
from typing import TYPE_CHECKING, Any

from .refused import is_refusal

if TYPE_CHECKING:
    from ..shell import Shell

SIGNS = {"line": "%", "cell": "%%"}
WIDTH = 100
HEAD = """Magics of Ergane. A line magic (%) stands on a line of its own or after `name =`; a cell magic (%%) takes the
whole block and is its first line. `%name?` shows the help of one."""


class GuideMagics:
    line = ("help", "lsmagic")

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def help(self, _: str) -> None:
        """Prints what each magic does and how to call it."""
        print(HEAD)
        for name, function in self._ours().items():
            first, _, rest = (getdoc(function) or "").partition("\n")
            print(f"\n{name}\n    {first}")
            for line in rest.strip("\n").splitlines():
                print(f"    {line}".rstrip())

    def lsmagic(self, _: str) -> None:
        """Prints the magics in one line each, and the names of IPython's that work here."""
        ours = self._ours()
        width = max(map(len, ours)) + 2
        for name, function in ours.items():
            print(f"{name:<{width}}{(getdoc(function) or '').splitlines()[0]}")
        print("\nOf IPython:")
        print(fill("  ".join(self._ipythons()), WIDTH, break_on_hyphens=False))

    def _ours(self) -> dict[str, Any]:
        """The magics, by name with its sign."""
        all_of_them = self._shell.magics().items()
        return {SIGNS[kind] + name: function for (kind, name), function in all_of_them if not is_refusal(function)}

    def _ipythons(self) -> list[str]:
        registered = self._shell.magics_manager.magics
        taken = self._shell.magics()
        return [SIGNS[kind] + name for kind in SIGNS for name in sorted(registered[kind]) if (kind, name) not in taken]
