"""What a block may know of its session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What is known since the session's start; empty where the server did not say."""

    session: str = ""
    workgroup: str = ""
    engine_version: str = ""
    notebook: str = ""
    started: float = 0.0  # epoch seconds

    @classmethod
    def of(cls, session: str, document: dict[str, Any]) -> Facts:
        return cls(
            session=session,
            workgroup=str(document.get("workgroup") or ""),
            engine_version=str(document.get("engine_version") or ""),
            notebook=str(document.get("notebook") or ""),
            started=float(document.get("started") or 0),
        )


@dataclass
class Session:
    """The one place where facts and addresses are looked up, at the moment of use: both are given at a start."""

    facts: Facts = field(default_factory=Facts)
    env: dict[str, str] = field(default_factory=dict)  # where the API is, and the session's key
