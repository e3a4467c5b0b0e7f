"""Magics of IPython that are for a terminal, or would do nothing here: each says so and fails the block."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

from .usage import UsageError

_TERMINAL = "is for a terminal: nobody can answer it here"
_HISTORY = "is not offered: no history is kept; GetCalculationExecutionCode has the code of every calculation"
_PACKAGES = "is not offered: %pip installs packages for this session"
_NO_EFFECT = "is not offered: it would have no effect here"

REASONS: dict[str, tuple[str, ...]] = {
    _TERMINAL: ("debug", "pdb", "edit", "ed", "gui", "quickref", "connect_info", "tb"),
    _HISTORY: (
        *("history", "hist", "recall", "rep", "rerun", "macro", "save", "notebook", "pastebin", "load", "loadpy"),
        *("logstart", "logstop", "logon", "logoff", "logstate", "store", "bookmark"),
    ),
    _PACKAGES: ("conda", "mamba", "micromamba", "uv"),
    _NO_EFFECT: ("automagic", "autocall", "autoawait", "colors", "xmode", "doctest_mode", "code_wrap", "rehashx"),
}

# These report errors through the root logger, which would install a permanent handler on the block's stderr.
_TELLERS = ("interactiveshell", "alias", "magics.auto", "magics.basic", "magics.code", "magics.config")
_TELLERS += ("magics.execution",)


def refusals() -> dict[tuple[str, str], Any]:
    """By kind (line, cell) and name."""
    found = {("line", name): _refusal(f"%{name} {reason}") for reason, names in REASONS.items() for name in names}
    found["cell", "debug"] = _refusal(f"%%debug {_TERMINAL}")
    found["cell", "code_wrap"] = _refusal(f"%%code_wrap {_NO_EFFECT}")
    return found


def silence() -> None:
    """Turns what IPython's magics would write to the root logger into an error of the block."""
    for name in _TELLERS:
        import_module(f"IPython.core.{name}").error = _fail  # type: ignore[attr-defined]


def is_refusal(function: Any) -> bool:
    return getattr(function, "__name__", "") == "refusal"


def _refusal(sentence: str) -> Any:
    def refusal(*_: str) -> NoReturn:
        raise UsageError(sentence)

    refusal.__doc__ = sentence
    return refusal


def _fail(message: object, *_: object) -> NoReturn:
    raise UsageError(str(message))
