"""Run the scenario of scenario.json with every client, unmodified, against one real server.

Each client gets an environment of its own below --cache, and from us only what `ergane env` prints. The first client
that does not install or does not pass ends the run, with its output.

    make clients                            all of them
    python e2e/clients/run.py --only go,js  these
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scenario import STEPS

from harness import ERGANE, ROOT, Athena, Server, running

HERE = Path(__file__).resolve().parent
# A client hangs rather than takes so long.
CLIENT_LIMIT = 400
INSTALL_LIMIT = 900


class Failure(Exception):
    """What ends the run, as a sentence."""


@dataclass
class Client:
    """One client: how it gets into a folder, how it starts there, and what of the scenario it reaches."""

    name: str
    about: str
    # What the installation depends on: another content, another installation.
    files: list[str]
    install: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    # Steps that the client has no call for, each with the reason.
    without: dict[str, str] = field(default_factory=dict)
    # What this client alone does, beyond the scenario.
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> list[str]:
        return [s for s in STEPS if s not in self.without] + list(self.extra)


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--only", metavar="NAME,...", help="these clients, in this order")
    args.add_argument("--list", action="store_true", help="list the clients, and what they leave out and why")
    args.add_argument("--cache", type=Path, default=ROOT / ".build" / "clients", help="folder of the installations")
    args.add_argument("--install", action="store_true", help="install them, and run nothing")
    opts = args.parse_args()
    if opts.list:
        tell()
        return 0
    known = {c.name: c for c in CLIENTS}
    wanted = opts.only.split(",") if opts.only else list(known)
    for name in wanted:
        if name not in known:
            args.error(f"there is no client {name!r}; there are {', '.join(known)}")
    try:
        if opts.install:
            for name in wanted:
                installed(known[name], opts.cache)
            return 0
        with tempfile.TemporaryDirectory(prefix="ergane-clients-") as tmp:
            run([known[n] for n in wanted], opts.cache, Path(tmp))
    except Failure as e:
        print(e, file=sys.stderr)
        return 1
    return 0


def tell() -> None:
    for client in CLIENTS:
        print(f"{client.name:12} {client.about}")
        for step, why in client.without.items():
            print(f"{'':12}   without {step}: {why}")
        for step, words in client.extra.items():
            print(f"{'':12}   in addition {step}: {words}")


def run(clients: list[Client], cache: Path, tmp: Path) -> None:
    took = {c.name: installed(c, cache) for c in clients}
    with running(tmp) as server:
        for client in clients:
            begun = time.monotonic()
            version = scenario(client, cache / client.name, server, tmp)
            seconds = time.monotonic() - begun
            how = "installed before" if took[client.name] is None else f"installed in {took[client.name]:.1f} s"
            print(f"{client.name:12} {version:44} {len(client.steps):2} steps {seconds:6.1f} s   {how}", flush=True)


def installed(client: Client, cache: Path) -> float | None:
    """Install the client unless that was done; return the seconds that it took."""
    home = cache.resolve() / client.name
    digest = hashlib.sha256(sys.version.encode())
    for name in client.files:
        digest.update((HERE / name).read_bytes())
    done = home / ".done"
    if done.exists() and done.read_text() == digest.hexdigest():
        return None
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    begun = time.monotonic()
    try:
        client.install(home)
    except (OSError, subprocess.SubprocessError) as e:
        raise Failure(
            f"{said(e)}\nthe client {client.name} cannot be installed: {str(e).rstrip('.')}. "
            "It was asked for, so it is not left out; --only NAME,... chooses others."
        ) from e
    done.write_text(digest.hexdigest())
    return time.monotonic() - begun


def scenario(client: Client, home: Path, server: Server, tmp: Path) -> str:
    """Let the client do its steps, and return its version."""
    athena = Athena(server)
    before = len(server.errors())
    # A shell that was set up for another account, then pointed at the server by nothing but `ergane env`.
    env = {
        "HOME": str(tmp),
        "LANG": "C.UTF-8",
        "PATH": f"{ERGANE.parent}:/usr/local/bin:/usr/bin:/bin",
        "ERGANE_DATA_DIR": str(server.data_dir),
        "AWS_PROFILE": "of-another-account",
        "AWS_SESSION_TOKEN": "of-another-account",
    }
    shell = ["sh", "-c", f'eval "$({ERGANE.name} env)" && unset ERGANE_DATA_DIR && exec "$@"', "sh"]
    try:
        done = subprocess.run(
            [*shell, *client.command(home.resolve())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            cwd=tmp,
            timeout=CLIENT_LIMIT,
        )
    except subprocess.TimeoutExpired as e:
        raise Failure(f"{said(e)}\nthe client {client.name} has not ended within {CLIENT_LIMIT} s") from e
    if done.returncode != 0:
        raise Failure(f"{done.stdout}\nthe client {client.name} fails with exit status {done.returncode}")
    steps = re.findall(r"^ok (\w+)$", done.stdout, re.MULTILINE)
    if sorted(steps) != sorted(client.steps):
        odd = sorted(set(steps) ^ set(client.steps))
        raise Failure(f"{done.stdout}\nthe client {client.name} did other steps than it has: {', '.join(odd)}")
    if server.errors()[before:]:
        raise Failure("\n".join([*server.errors()[before:], f"the server calls that an error, with {client.name}"]))
    # Some clients leave sessions to their idle timeout; the next client starts without them.
    for group in athena.api.list_work_groups()["WorkGroups"]:
        for s in athena.api.list_sessions(WorkGroup=group["Name"])["Sessions"]:
            athena.terminate(s["SessionId"])
    return re.findall(r"^version (.*)$", done.stdout, re.MULTILINE)[0]


def said(e: Exception) -> str:
    """What a command wrote before it failed."""
    text = getattr(e, "stdout", None) or ""
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def sh(*args: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command of an installation."""
    return subprocess.run(
        args,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env=env,
        timeout=INSTALL_LIMIT,
    ).stdout


def venv(requirements: str) -> Callable[[Path], None]:
    def install(home: Path) -> None:
        sh(sys.executable, "-m", "venv", home / "venv")
        pip = [home / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        sh(*pip, "-r", HERE / requirements)

    return install


def python(program: str, *args: str) -> Callable[[Path], list[str]]:
    return lambda home: [str(home / "venv/bin/python"), str(HERE / program), *args]


def install_go(home: Path) -> None:
    sh("go", "build", "-o", home / "scenario", ".", cwd=HERE / "go")


def install_js(home: Path) -> None:
    for name in ("package.json", "package-lock.json", "scenario.mjs"):
        shutil.copy(HERE / "js" / name, home)
    sh("npm", "ci", "--no-audit", "--no-fund", cwd=home)


# The last aws CLI from before AWS_ENDPOINT_URL_…, as Debian 12 has it.
DEBIAN_CLI = "awscli=2.9.19-1"


def install_debian_cli(home: Path) -> None:
    """Unpack Debian's packages beside the system rather than into it: that needs no root and changes nothing."""
    missing = sh("apt-get", "install", "--simulate", "--no-install-recommends", DEBIAN_CLI)
    names = re.findall(r"^Inst (\S+)", missing, re.MULTILINE)
    if not names:  # the machine has it
        names = [DEBIAN_CLI]
    sh("apt-get", "download", "--quiet", *names, cwd=home)
    for package in home.glob("*.deb"):
        sh("dpkg", "--extract", package, home / "unpacked")


def debian_cli(home: Path) -> list[str]:
    packages = f"PYTHONPATH={home}/unpacked/usr/lib/python3/dist-packages"
    aws = ["env", packages, "/usr/bin/python3", f"{home}/unpacked/usr/bin/aws"]
    return [sys.executable, str(HERE / "cli.py"), "--endpoint-url", *aws]


NO_CALL = "it has no call for that"
ONE_CALL = "its one call waits for the end of what it starts"

CLIENTS = [
    Client(
        "boto3",
        "AWS SDK for Python",
        ["requirements-boto3.txt"],
        venv("requirements-boto3.txt"),
        python("boto3_client.py"),
    ),
    Client(
        "cli",
        "aws CLI of today, from the Python package index",
        ["requirements-cli.txt"],
        venv("requirements-cli.txt"),
        lambda home: [sys.executable, str(HERE / "cli.py"), str(home / "venv/bin/aws")],
    ),
    Client(
        "cli-debian",
        "aws CLI of Debian 12, which knows no AWS_ENDPOINT_URL_…: it gets the same addresses with --endpoint-url",
        [],
        install_debian_cli,
        debian_cli,
    ),
    Client(
        "go",
        "AWS SDK for Go v2",
        ["go/go.mod", "go/go.sum", "go/main.go"],
        install_go,
        lambda home: [str(home / "scenario"), str(HERE / "scenario.json")],
    ),
    Client(
        "js",
        "AWS SDK for JavaScript v3",
        ["js/package.json", "js/package-lock.json", "js/scenario.mjs"],
        install_js,
        lambda home: [shutil.which("node") or "node", str(home / "scenario.mjs"), str(HERE / "scenario.json")],
    ),
    Client(
        "pyathena",
        "PyAthena's SparkCursor and AsyncSparkCursor",
        ["requirements-pyathena.txt"],
        venv("requirements-pyathena.txt"),
        python("pyathena_client.py"),
        without=dict.fromkeys(("code", "paging", "work_groups", "change_work_group"), NO_CALL),
        extra={
            "engine_configuration": "its engine_configuration reaches Spark",
            "properties": "every property of a cursor is filled after a calculation that ran well",
            "reuse": "a second cursor works in the session of the first, and leaves it running",
            "async": "AsyncSparkCursor's futures come true",
        },
    ),
    Client(
        "awswrangler",
        "AWS SDK for pandas: create_spark_session and run_spark_calculation",
        ["requirements-awswrangler.txt"],
        venv("requirements-awswrangler.txt"),
        python("awswrangler_client.py"),
        without={
            "busy": ONE_CALL,
            "stop": ONE_CALL,
            **dict.fromkeys(("code", "token", "paging", "terminate", "work_groups", "change_work_group"), NO_CALL),
        },
        extra={
            "spark_properties": "its spark_properties reach Spark",
            "implicit_session": "run_spark_calculation without a session starts one",
            "parquet": "what a block writes to S3 is a pandas data frame for the client",
        },
    ),
    Client(
        "dbt",
        "dbt-athena's helper for Python models, as its adapter calls it; no dbt run, which needs Athena SQL",
        ["requirements-dbt.txt"],
        venv("requirements-dbt.txt"),
        python("dbt_client.py"),
        without={
            "stop": "it stops only what is over its time: see timeout",
            "shared": "its models share tables, not variables",
            **dict.fromkeys(
                ("code", "token", "paging", "unknown", "terminate", "work_groups", "change_work_group"), NO_CALL
            ),
        },
        extra={
            "reuse": "over its number of threads, models share the session that has their configuration",
            "engine_config": "another configuration is another session",
            "timeout": "a model over its time is stopped",
            "lost_session": "a session that has ended is replaced",
        },
    ),
]

if __name__ == "__main__":
    sys.exit(main())
