"""The boot document: everything that a kernel is told, on fd 3, before it does anything."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from . import PROTOCOL
from .facts import Facts

BOOT_FD = 3
LOG_FD = 4
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Java:
    """The command of the Spark driver's JVM; env is added to our own environment."""

    argv: list[str]
    env: dict[str, str]


@dataclass(frozen=True)
class Ahead:
    """The kernel is started before there is a session for it: it warms up and waits to be claimed."""

    store: str  # prefix of the s3:// folder to warm up in; empty: none
    catalog: bool  # whether to warm up in the catalog, too


@dataclass(frozen=True)
class Boot:
    token: str
    facts: Facts
    dir: str
    env: dict[str, str]
    java: Java | None
    spark: dict[str, str]
    ahead: Ahead | None
    idle_seconds: float  # without a calculation, until memory is returned to the system


def read_boot(fd: int = BOOT_FD) -> Boot:
    """Reads the document up to its end and closes fd."""
    with os.fdopen(fd, "rb") as document:
        fields: dict[str, Any] = json.load(document)
    if fields.get("v") != PROTOCOL:
        raise ValueError(f"boot document: version {fields.get('v')!r} is not {PROTOCOL}")
    java, ahead = fields.get("java"), fields.get("ahead")
    return Boot(
        token=fields["token"],
        facts=Facts.of(fields["session"], fields.get("facts") or {}),
        dir=fields["dir"],
        env=fields.get("env") or {},
        java=Java(java["argv"], java.get("env") or {}) if java else None,
        spark=fields.get("spark") or {},
        ahead=Ahead(str(ahead.get("store") or ""), bool(ahead.get("catalog"))) if ahead is not None else None,
        idle_seconds=float(fields.get("idle_seconds", IDLE_SECONDS)),
    )
