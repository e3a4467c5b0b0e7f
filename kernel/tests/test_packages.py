"""%pip: packages of the session, by real pip from wheels and indexes made here, and an engine that stays as it is."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Kernel, python
from wheels import index, wheel

LIBRARIES = "python/lib/python*/site-packages"


def pip(**files: str) -> dict[str, Any]:
    """The part of the boot document that lets code install packages."""
    return {"facts": {"pip": files}}


def of_wheels(folder: Path) -> dict[str, Any]:
    return pip(settings=f"[global]\nno-index = true\nfind-links = {folder}\n")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "ergane_greeting", "1.0", {"ergane_greeting.py": "TEXT = 'one'\n"}, ("ergane_words", "ipython"))
    wheel(folder, "ergane_greeting", "2.0", {"ergane_greeting.py": "TEXT = 'two'\n"}, ("ergane_words", "ipython"))
    wheel(folder, "ergane_words", "1.0", {"ergane_words/__init__.py": "", "ergane_words/more.py": "N = 5\n"})
    wheel(folder, "ergane_other_ipython", "1.0", {"ergane_other.py": ""}, ("ipython<1",))
    wheel(folder, "ergane_half", "1.0", {"ergane_half.py": ""}, ("ergane_broken",))
    wheel(folder, "ergane_queue", "1.0", {"queue.py": "raise ImportError('in place of the standard library')\n"})
    wheel(folder, "ergane_lines", "1.0", {"ergane_lines.pth": "import os; os.environ['ERGANE_LINES'] = 'read'\n"})
    wheel(folder, "ipython", "0.1", {"IPython.py": ""})
    (folder / "ergane_broken-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 no archive")
    return folder


@pytest.fixture
def kernel(wheels: Path) -> Iterator[Kernel]:
    with Kernel(of_wheels(wheels)) as kernel:
        yield kernel


def installed(kernel: Kernel) -> set[str]:
    (site,) = kernel.work.glob(LIBRARIES)
    return {path.name for path in site.iterdir()} - {"engine.pth"}


def engine_files() -> dict[str, int]:
    """Each file of the interpreter's packages, with its time."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = os.popen(f"'{python()}' -c \"{code}\"").read().strip() or sysconfig.get_path("purelib")
    return {
        str(path): path.stat().st_mtime_ns for path in Path(site).rglob("*") if path.suffix != ".pyc" and path.is_file()
    }


def reason(calculation: Any) -> str:
    assert calculation.state == "FAILED", calculation.stdout
    return calculation.outcome["error"]["value"]


def test_a_package_and_what_it_needs_can_be_imported_at_once(kernel: Kernel) -> None:
    got = kernel.run(
        "%pip install ergane_greeting==1.0  # the older one\nimport ergane_greeting, ergane_words.more as m\nprint(ergane_greeting.TEXT, m.N)"
    )
    assert got.state == "COMPLETED", got.stderr
    assert "Successfully installed ergane_greeting-1.0 ergane_words-1.0" in got.stdout
    assert got.stdout.endswith("one 5\n")
    # So can what the block starts.
    child = kernel.run(
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import ergane_greeting as g; print(g.TEXT)'], capture_output=True, text=True).stdout)\n!{sys.executable} -c 'import ergane_words.more as m; print(m.N)'"
    )
    assert child.stdout == "one\n\n5\n", child.stderr


def test_a_package_is_removed_with_its_session_and_no_other_session_sees_it(kernel: Kernel, wheels: Path) -> None:
    kernel.run("%pip install ergane_words")
    assert kernel.run("import ergane_words").state == "COMPLETED"
    with Kernel(of_wheels(wheels)) as other:
        assert "ergane_words" in reason(other.run("import ergane_words"))
        assert "ergane" not in other.run("%pip list").stdout
    assert all(str(path).startswith(str(kernel.session)) for path in kernel.work.glob(f"{LIBRARIES}/ergane_words*"))


def test_another_version_replaces_it_and_an_earlier_import_gets_a_notice(kernel: Kernel) -> None:
    kernel.run("%pip install ergane_greeting==1.0\nimport ergane_greeting")
    got = kernel.run("%pip install --upgrade ergane_greeting")
    assert "ergane_greeting was imported already" in got.stdout, got.stderr
    assert kernel.run("%pip list --local").stdout.count("ergane_greeting") == 1
    assert kernel.run("import importlib; print(importlib.reload(ergane_greeting).TEXT)").stdout == "two\n"


def test_what_was_installed_is_removed(kernel: Kernel) -> None:
    kernel.run("%pip install ergane_words")
    assert "Successfully uninstalled" in kernel.run("%pip uninstall ergane-words").stdout
    assert installed(kernel) == set()
    assert "ergane_words" in reason(kernel.run("import ergane_words"))


def test_every_way_to_call_pip_installs_into_the_session_and_not_into_the_engine(kernel: Kernel) -> None:
    before = engine_files()
    for command in (
        "%pip install ergane_words",
        "!pip install ergane_greeting",
        "import sys\n!{sys.executable} -m pip install ergane_lines",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', '--force-reinstall', '--no-deps', 'ergane_words'], check=True)",
    ):
        got = kernel.run(command)
        assert "Successfully installed" in got.stdout, (command, got.stdout, got.stderr)
    assert {"ergane_words", "ergane_greeting.py", "ergane_lines.pth"} <= installed(kernel)
    kernel.run("!pip uninstall -y ipython")
    assert engine_files() == before


def test_packages_of_the_engine_stay_as_they_are(kernel: Kernel) -> None:
    got = kernel.run("%pip install -U IPython")
    assert got.state == "COMPLETED", got.stderr
    assert "is part of the engine and stays as it is." in got.stdout
    for asked in ("ergane_other_ipython", "ipython==0.1"):
        assert "What is part of the engine keeps its version." in reason(kernel.run(f"%pip install {asked}"))
    assert "is part of the engine" in reason(kernel.run("%pip uninstall ipython"))
    assert installed(kernel) == set()


def test_a_package_does_not_take_the_place_of_pythons_own_modules(kernel: Kernel) -> None:
    kernel.run("%pip install ergane_queue")
    assert "queue.py" in installed(kernel)
    assert (
        kernel.run("import sys\n!{sys.executable} -c 'import queue; print(queue.Queue)'").stdout
        == "<class 'queue.Queue'>\n"
    )


def test_lines_of_pth_files_are_run(kernel: Kernel) -> None:
    assert kernel.run("%pip install ergane_lines\nimport os; print(os.environ['ERGANE_LINES'])").stdout.endswith(
        "read\n"
    )


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("install ergane_absent", "pip: Could not find a version that satisfies the requirement ergane_absent"),
        ("install ergane_half", "pip: Wheel 'ergane-broken'"),
        ("install -r absent.txt", "pip: Could not open requirements file"),
        ("install 'quote", "No closing quotation"),
        ("install --target=/tmp ergane_words", "no --target: packages go into the session's own folder"),
        ("install -t /tmp ergane_words", "no -t: packages"),
        ("", "write %pip install NAME"),
        ("config list", "would show passwords"),
        ("nonsense", "pip: unknown command"),
    ],
)
def test_what_cannot_be_installed_fails_with_the_reason_and_leaves_nothing(
    kernel: Kernel, line: str, part: str
) -> None:
    assert part in reason(kernel.run(f"%pip {line}"))
    assert installed(kernel) == set()
    assert kernel.run("print(1)").stdout == "1\n"


def test_an_index_that_does_not_answer_fails_in_bounded_time_and_without_its_password() -> None:
    settings = "[global]\nindex-url = http://user:sesame@127.0.0.1:9/simple\nretries = 1\n"
    with Kernel(pip(settings=settings)) as kernel:
        got = kernel.run("%pip install -v ergane_words")
        assert "ergane_words" in reason(got)
        told = got.stdout + got.stderr + str(got.outcome) + kernel.run("every = %env\nprint(every)").stdout
        assert "127.0.0.1:9" in told
        assert "sesame" not in told


def test_packages_come_from_the_index_of_the_configuration_file(wheels: Path) -> None:
    with (
        index(wheels) as running,
        Kernel(pip(config=f"[global]\nindex-url = http://user:sesame@{running.address}/simple\n")) as kernel,
    ):
        got = kernel.run("%pip install ergane_greeting\nimport ergane_greeting; print(ergane_greeting.TEXT)")
        assert got.stdout.endswith("two\n"), got.stderr
        assert "sesame" not in got.stdout + got.stderr


def test_an_install_is_stopped_and_leaves_nothing(wheels: Path) -> None:
    with (
        index(wheels, endless="ergane_words-1.0-py3-none-any.whl") as running,
        Kernel(pip(settings=f"[global]\nindex-url = http://{running.address}/simple\n")) as kernel,
    ):
        calculation = kernel.submit("%pip install ergane_greeting")
        kernel.until(running.asked.is_set, "the download")
        assert calculation.interrupt()["state"] == "CANCELED"
        assert installed(kernel) == set()
        assert kernel.children() == []  # pip has ended
        running.over.set()
        again = kernel.run(f"%pip install --no-index --find-links {wheels} ergane_greeting\nimport ergane_greeting")
        assert again.state == "COMPLETED", again.stderr


def test_a_folder_that_user_code_removed_is_made_again(kernel: Kernel) -> None:
    kernel.run("import os, shutil; shutil.rmtree(os.path.dirname(os.getcwd()) + '/python')")
    assert kernel.run("%pip install ergane_words\nimport ergane_words").state == "COMPLETED"


def test_where_it_is_switched_off_it_says_what_to_do_instead() -> None:
    with Kernel() as kernel:
        assert "%pip is switched off for this workgroup" in reason(kernel.run("%pip install numpy"))
        assert kernel.run("import os; print([name for name in os.environ if name.startswith('PIP_')])").stdout == "[]\n"
