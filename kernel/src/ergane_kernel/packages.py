"""The session's own Python packages: a folder that pip fills and that is removed with the session.

It is a virtual environment on top of the engine's. Its Python finds the engine's packages, too, but they belong to
another environment, so pip neither replaces nor removes them; constraints keep it from installing other versions of
them. The driver and Spark's Python workers search the folder last: Python's own modules and the engine's win.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from .facts import Pip

LIBRARIES = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

# Imported by each Python that is started with PYTHONPATH. A Python that is not the engine's cannot use the packages.
SITE_CUSTOMIZE = """\
import sys
if sys.prefix == {prefix!r}:
    import site
    site.addsitedir({site!r})
"""


class Packages:
    def __init__(self, directory: str) -> None:
        """directory is the session's; nothing is made there yet."""
        self._root = f"{directory}/python"
        self.python = f"{self._root}/bin/python"
        self.site = f"{self._root}/{LIBRARIES}"
        self._engine = [path for path in sys.path if path.endswith(("/site-packages", "/dist-packages"))]

    @property
    def path(self) -> str:
        """The PYTHONPATH of processes that have to find the packages."""
        return f"{self._root}/path"

    def make(self) -> None:
        """Makes the folder, or its missing parts, and puts it on the path of this process."""
        for folder in (self.site, self.path, f"{self._root}/bin"):
            os.makedirs(folder, exist_ok=True)
        if not os.path.lexists(self.python):
            os.symlink(sys.executable, self.python)
        self._write("pyvenv.cfg", f"home = {os.path.dirname(sys._base_executable)}\n")
        self._write(f"{LIBRARIES}/engine.pth", "\n".join(self._engine) + "\n")
        self._write("path/sitecustomize.py", SITE_CUSTOMIZE.format(prefix=sys.prefix, site=self.site))
        if self.site not in sys.path:
            sys.path.append(self.site)

    def allow(self, pip: Pip) -> None:
        """From now on every pip that user code starts, in any way, installs here. Raises OSError."""
        self.make()
        self._write("constraints.txt", "".join(f"{name}=={v}\n" for name, v in self.of_engine().items()))
        self._write("pip.conf", pip.config)  # where pip looks for the settings of an environment
        self._write("settings.conf", pip.settings)
        os.environ.update(
            {
                "PIP_PYTHON": self.python,
                "PIP_CONSTRAINT": f"{self._root}/constraints.txt",
                "PIP_CONFIG_FILE": f"{self._root}/settings.conf",
                "PIP_NO_CACHE_DIR": "1",  # no other session could use the cache
                "PIP_NO_INPUT": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            }
        )

    def of_engine(self) -> dict[str, str]:
        """The versions of the engine's packages, by name as in their metadata."""
        found: dict[str, str] = {}
        for path in self._engine:
            with suppress(OSError):
                for entry in os.listdir(path):
                    name, _, version = entry.removesuffix(".dist-info").rpartition("-")
                    if name and entry.endswith(".dist-info"):
                        found.setdefault(name, version)
        return dict(sorted(found.items()))

    def listing(self) -> dict[str, tuple[int, int]]:
        """The content of the folder, by name; the value changes if pip replaces an entry."""
        with os.scandir(self.site) as entries:
            states = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}

    def _write(self, name: str, text: str) -> None:
        with open(f"{self._root}/{name}", "w") as file:
            file.write(text)
