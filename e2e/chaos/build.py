"""A server that can be told to use another kernel than the real one, and that kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import COMMON, ROOT

BUILD = ROOT / ".build" / "chaos"


def build() -> tuple[Path, dict[str, str]]:
    """The server's binary, and the environment in which its sessions have stand-in kernels."""
    for package, more in (("./cmd/ergane", ["-tags", "chaos"]), ("./internal/kernel/kerneltest/standin", [])):
        command = ["go", "build", *more, "-o", str(BUILD) + "/", package]
        subprocess.run(command, check=True, cwd=ROOT)
    return BUILD / "ergane", {
        "ERGANE_CHAOS_KERNEL": f"{BUILD}/standin stand-in-kernel",
        "ERGANE_ALLOW_PATH": f"{COMMON}:rw,{BUILD}",
    }
