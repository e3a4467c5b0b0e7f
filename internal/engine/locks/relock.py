"""Writes the hashed lock files of an engine again, from the newest releases that fit.

    pip install uv
    python relock.py            # every *.in folder beside this file
    git diff .                  # read what moved, then run the engine's tests on every Python

Each folder NAME holds NAME/packages.in (what user code may import), NAME/pins.json
(what must not float) and gets one packages-3.X.txt per Python minor version,
bootstrap.txt (pip and setuptools), java.txt (a Java runtime as a
wheel, which nobody publishes for aarch64) and sdist.txt
(PySpark itself). Only the files that a supported machine (Linux with glibc) would fetch are listed.
The package index is the one that uv is configured to use; no address is written.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import tomllib

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
BOOTSTRAP = ("pip", "setuptools")
# Every machine must resolve to the same versions; uv tells the files of one at a time.
MACHINES = ("x86_64", "aarch64")
GLIBC = "manylinux_2_28"


def resolve(requirements: Iterable[str], python: str, machine: str, *, sdist: bool) -> list[dict]:
    """The packages of a resolution for one Python and machine, as PEP 751 describes them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.toml"
        command = ["uv", "pip", "compile", "--quiet", "--format", "pylock.toml"]
        command += ["--python-version", python, "--python-platform", f"{machine}-{GLIBC}"]
        command += ["--no-deps"] if sdist else ["--only-binary", ":all:"]
        command += ["--output-file", str(out), "-"]
        subprocess.run(command, input="\n".join(requirements), text=True, check=True)
        return tomllib.loads(out.read_text())["packages"]


def best(package: dict, python: str, machine: str) -> dict:
    """The one file that pip on this Python and machine would fetch."""
    minor = python.replace(".", "")
    candidates = []
    for wheel in package.get("wheels", []):
        name = wheel["url"].rsplit("/", 1)[1].removesuffix(".whl")
        interpreter, abi, platform = name.split("-")[-3:]
        if platform != "any" and not ("manylinux" in platform and machine in platform):
            continue
        if abi == f"cp{minor}":
            candidates.append((2, wheel))
        elif (abi == "none" and interpreter.startswith("py")) or (
            abi == "abi3" and int(interpreter.removeprefix("cp")) <= int(minor)
        ):
            candidates.append((1, wheel))
    if candidates:
        return max(candidates, key=lambda c: c[0])[1]
    if "sdist" not in package:
        sys.exit(f"{package['name']} has no file for Python {python} on {machine}")
    return package["sdist"]


def write(
    path: Path,
    wanted: Iterable[str],
    python: str,
    *,
    machines: Iterable[str] = MACHINES,
    sdist: bool = False,
) -> None:
    wanted = list(wanted)
    packages: dict[tuple[str, str], set[str]] = {}
    total = dict.fromkeys(machines, 0)
    for machine in total:
        for package in resolve(wanted, python, machine, sdist=sdist):
            file = best(package, python, machine)
            key = package["name"], package["version"]
            packages.setdefault(key, set()).add(file["hashes"]["sha256"])
            total[machine] += file["size"]
    if len({name for name, _ in packages}) != len(packages):
        sys.exit(f"{path}: the machines need different versions of one package")
    lines = []
    for (name, version), hashes in sorted(packages.items()):
        lines.append(f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{h}" for h in sorted(hashes)))
    head = ["# Written by relock.py; do not edit."]
    head += [f"# download {machine} {size}" for machine, size in total.items()]
    path.write_text("\n".join([*head, *lines]) + "\n")
    print(f"{path}: {len(packages)} packages", file=sys.stderr)


def lock(folder: Path) -> None:
    pins = json.loads((folder / "pins.json").read_text())
    packages = (folder / "packages.in").read_text().splitlines()
    write(folder / "bootstrap.txt", BOOTSTRAP, PYTHONS[0])
    write(folder / "java.txt", [pins["java"]], PYTHONS[0], machines=["x86_64"])
    write(folder / "sdist.txt", [pins["pyspark"]], PYTHONS[0], sdist=True)
    for python in PYTHONS:
        write(folder / f"packages-{python}.txt", packages, python)


if __name__ == "__main__":
    for source in sorted(Path(__file__).parent.glob("*/packages.in")):
        lock(source.parent)
