"""What a block may know about its session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .packages import Packages


@dataclass(frozen=True)
class Pip:
    """How pip is configured where the server runs: the text of two files, the second of which wins."""

    config: str = ""
    settings: str = ""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Pip:
        return cls(config=str(document.get("config") or ""), settings=str(document.get("settings") or ""))


@dataclass(frozen=True)
class Facts:
    """What is known since the session's start; empty if the server did not send it."""

    session: str = ""
    workgroup: str = ""
    engine_version: str = ""
    notebook: str = ""
    started: float = 0.0  # epoch seconds
    pip: Pip | None = field(default=None, repr=False)  # None: code may not install packages

    @classmethod
    def of(cls, session: str, document: dict[str, Any]) -> Facts:
        return cls(
            session=session,
            workgroup=str(document.get("workgroup") or ""),
            engine_version=str(document.get("engine_version") or ""),
            notebook=str(document.get("notebook") or ""),
            started=float(document.get("started") or 0),
            pip=Pip.of(document["pip"]) if document.get("pip") is not None else None,
        )


@dataclass
class Session:
    """The one place where facts and addresses are read, when they are used: a claim may replace both."""

    facts: Facts = field(default_factory=Facts)
    env: dict[str, str] = field(default_factory=dict)  # where the API is, and the session's key
    packages: Packages | None = None  # None: the session has no folder for them
