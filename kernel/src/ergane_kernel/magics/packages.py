"""%pip."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import suppress
from importlib import invalidate_caches
from os import unlink
from shutil import rmtree
from site import addsitedir
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import TYPE_CHECKING

from .usage import UsageError

if TYPE_CHECKING:
    from ..packages import Packages
    from ..shell import Shell

STOP_SECONDS = 3.0  # for pip to clean up when it is stopped
ERROR = "ERROR: "  # how pip's line with the reason of a failure begins
CHANGING = ("install", "uninstall")
# They would install elsewhere, or for another Python.
ELSEWHERE = ("-t", "--target", "--prefix", "--root", "--user", "--python")
NOT_OFFERED = {
    "config": "would show passwords of the package index",
    "debug": "would show the environment",
}
OFF = (
    "%pip is switched off for this workgroup (serve --pip): bring pure Python with "
    'sc.addPyFile("s3://bucket/package.zip"), or have the package installed in the engine'
)


class PackageMagics:
    line = ("pip",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def pip(self, line: str) -> None:
        """Installs Python packages for this session: %pip install name.

        %pip install name==1.0 other   installs packages, and what they need, into a folder of this session
        %pip uninstall name            removes what was installed so
        %pip list                      all packages; with --local those of this session; show, freeze, check as in pip

        The driver and functions on Spark's workers can import them at once. The engine's own packages stay as they are:
        what needs other versions of them is not installed. When the session ends, its packages are gone.
        """
        packages = self._allowed()
        arguments = _arguments(line)
        command = next((word for word in arguments if not word.startswith("-")), "")
        if not arguments:
            raise UsageError("write %pip install NAME")
        if command in NOT_OFFERED:
            raise UsageError(f"%pip {command} is not offered: it {NOT_OFFERED[command]}")
        if command not in CHANGING:
            _run(packages, arguments)
            return
        _refuse_elsewhere(arguments)
        engines = _of_engine(packages, arguments)
        if command == "uninstall":
            if engines:
                raise UsageError(f"{', '.join(engines)} is part of the engine, which %pip uninstall leaves as it is")
            arguments.append("--yes")  # the question cannot be answered
        for package in engines:
            print(f"{package} is part of the engine and stays as it is.", flush=True)
        _change(packages, arguments)
        _tell_of_executors()

    def _allowed(self) -> Packages:
        session = self._shell.session
        if session.facts.pip is None or session.packages is None:
            raise UsageError(OFF)
        try:
            session.packages.allow(session.facts.pip)  # again: user code may have removed or replaced the files
        except OSError as error:
            raise UsageError(f"the session's folder of packages cannot be made: {error}") from None
        return session.packages


def _arguments(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"%pip {line}: {error}") from None
    comment = next((n for n, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _refuse_elsewhere(arguments: list[str]) -> None:
    for word in arguments:
        if word.partition("=")[0] in ELSEWHERE:
            raise UsageError(f"%pip has no {word.partition('=')[0]}: packages go into the session's own folder")


def _of_engine(packages: Packages, arguments: list[str]) -> list[str]:
    """Name and version of each package of the engine that is named in the line."""
    versions = {_canonical(name): version for name, version in packages.of_engine().items()}
    names = [re.match(r"[\w.-]+", word) for word in arguments if not re.search(r"^-|/|\.whl$", word)]
    asked = dict.fromkeys(_canonical(name.group()) for name in names if name)
    return [f"{name} {versions[name]}" for name in asked if name in versions]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _change(packages: Packages, arguments: list[str]) -> None:
    """Runs a pip that changes the folder; one that fails or is stopped leaves nothing new in it."""
    before = packages.listing()
    try:
        _run(packages, arguments)
    except BaseException:
        for name in packages.listing().keys() - before.keys():
            path = f"{packages.site}/{name}"
            rmtree(path, ignore_errors=True)
            with suppress(OSError):
                unlink(path)
        raise
    finally:
        invalidate_caches()
    addsitedir(packages.site)  # for its .pth files
    after = packages.listing()
    changed = {name.removesuffix(".py") for name, state in before.items() if after.get(name) != state}
    imported = sorted(name for name in changed if name in sys.modules)
    if imported:
        print(f"{', '.join(imported)} was imported already: what has imported it goes on with it as it was.")


def _run(packages: Packages, arguments: list[str]) -> None:
    """Runs pip to its end, with our stdout and stderr. Raises UsageError with its first error if it fails."""
    sys.stdout.flush()
    argv = [packages.python, "-I", "-X", "utf8", "-m", "pip", *arguments]
    process = Popen(argv, stdin=DEVNULL, stderr=PIPE, text=True, errors="replace")
    assert process.stderr is not None
    error = ""
    try:
        for line in process.stderr:
            sys.stderr.write(line)
            if not error and line.startswith(ERROR):
                error = line.removeprefix(ERROR).strip()
        status = process.wait()
    except BaseException:
        with suppress(TimeoutExpired):  # an order to stop reaches our children, too: pip cleans up
            process.wait(STOP_SECONDS)
        raise
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    if "conflicting dependencies" in error:
        error += " What is part of the engine keeps its version."
    if status != 0:
        raise UsageError(f"pip: {error}" if error else f"pip failed with status {status}")


def _tell_of_executors() -> None:
    """Warns if executors run on other machines, which do not see the session's folder."""
    pyspark = sys.modules.get("pyspark")
    context = getattr(getattr(pyspark, "SparkContext", None), "_active_spark_context", None)
    if context is not None and not str(context.master).startswith("local"):
        print("Only the driver has these packages: the executors are on other machines.")
