"""Where things are: the checkout, the binary, the engines, and files that tests and sessions share."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ERGANE = Path(os.environ.get("ERGANE_TEST_BINARY", ROOT / ".build" / "ergane"))
ENGINES = Path(os.environ.get("ERGANE_ENGINE_DIR", ROOT / ".build" / "engines"))

# The only folder outside their own in which sessions may write; tests read there what they wrote.
COMMON = Path(tempfile.mkdtemp(prefix="ergane-common-"))
COMMON.chmod(0o777)
atexit.register(shutil.rmtree, COMMON, ignore_errors=True)


def common_folder() -> Path:
    """A new folder in which the caller and the code of any session find each other's files."""
    folder = Path(tempfile.mkdtemp(dir=COMMON))
    folder.chmod(0o777)  # sessions have users of their own
    return folder


def clean_env(home: Path) -> dict[str, str]:
    """An environment without a trace of the developer's AWS or Ergane settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ERGANE_", "XDG_"))}
    env["HOME"] = str(home)
    env["ERGANE_ENGINE_DIR"] = str(ENGINES)
    env["ERGANE_ALLOW_PATH"] = f"{COMMON}:rw"
    return env


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file and its size in bytes; files that vanish meanwhile are left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat().st_size
