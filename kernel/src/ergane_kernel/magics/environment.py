"""%env and %set_env."""

from __future__ import annotations

import re
from os import environ
from typing import TYPE_CHECKING

from .usage import UsageError

if TYPE_CHECKING:
    from ..shell import Shell

MASK = "********"
_SECRET = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)


class EnvironmentMagics:
    line = ("env", "set_env")

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def env(self, line: str) -> str | dict[str, str] | None:
        """Shows or sets environment variables; the values of secrets are masked.

        %env               all of them, as a dictionary
        %env NAME          the value of one
        %env NAME=value    sets one for the blocks to come and the processes they start; $name and {name} are
                           replaced by the values of Python variables
        """
        line = line.strip()
        if not line:
            return {name: _shown(name, environ[name]) for name in sorted(environ)}
        if "=" in line or " " in line:
            return self.set_env(line)
        if line not in environ:
            raise UsageError(f"there is no environment variable {line}")
        return _shown(line, environ[line])

    def set_env(self, line: str) -> None:
        """Sets an environment variable: %set_env NAME=value or %set_env NAME value."""
        name, sign, value = line.strip().partition("=")
        if not sign:
            name, _, value = line.strip().partition(" ")
        name, value = name.strip(), value.strip()
        if not name or " " in name or "\0" in line:
            raise UsageError("write %env NAME=value")
        environ[name] = value
        print(f"env: {name}={_shown(name, value)}")


def _shown(name: str, value: str) -> str:
    return MASK if _SECRET.search(name) else value
