"""A server that knows another kernel than the real one, and that kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

from conftest import ROOT


def build(to: Path) -> None:
    for package, more in (("./cmd/ergane", ["-tags", "chaos"]), ("./internal/kernel/kerneltest/standin", [])):
        command = ["go", "build", *more, "-o", str(to) + "/", package]
        subprocess.run(command, check=True, cwd=ROOT)
