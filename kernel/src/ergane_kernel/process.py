"""The state of this process that all its code shares, restored after a block that damaged it."""

from __future__ import annotations

import builtins
from os import chdir, getcwd, makedirs
from sys import getrecursionlimit, modules, setrecursionlimit

RECURSION_LIMIT = 1000  # Python's default; with less, not even the next block's error could be reported


class SharedState:
    def __init__(self, directory: str) -> None:
        """directory becomes the working directory if a block has removed its own."""
        self._directory = directory
        self._builtins = vars(builtins)
        self._original = dict(self._builtins)
        self._modules = dict(modules)

    def repair(self) -> None:
        """Restores what is missing; what user code replaced on purpose stays."""
        for name, value in self._original.items():  # first, and without using a builtin: everything below needs them
            if name not in self._builtins:
                self._builtins[name] = value
        if "sys" not in modules:  # cleared: a second `sys` would not be the interpreter's
            modules.update({**self._modules, **modules})
        if getrecursionlimit() < RECURSION_LIMIT:
            setrecursionlimit(RECURSION_LIMIT)
        try:
            getcwd()
        except OSError:
            makedirs(self._directory, 0o700, exist_ok=True)
            chdir(self._directory)
