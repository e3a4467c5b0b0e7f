"""What a power cut would leave, read from a trace of system calls.

The rules are those of POSIX and no file system's kindness: what is written is on disk once the file was synced after
it, and a name is once its folder was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendfile,copy_file_range,fsync,fdatasync,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fallocate,ftruncate,"
    "setxattr,lsetxattr,fsetxattr"
)
# Those whose first argument is the descriptor of the file that they change.
WRITES = {
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate"),
    *("sendfile", "copy_file_range"),
}

# Enough to read a page of the database.
TEXT = 6000


def under(trace: Path) -> list[str]:
    """The command that runs another one and traces it and all its children. The process is the other command's."""
    return ["strace", "-D", "-f", "-y", "--seccomp-bpf", "-s", str(TEXT), "-e", f"trace={CALLS}", "-o", str(trace)]


@dataclass
class Call:
    """One system call: begin and end are moments, numbers of lines."""

    begin: int
    name: str
    args: str
    result: str = ""
    end: int = 0

    @property
    def done(self) -> bool:
        return self.result != "" and not self.result.startswith(("-1", "?"))

    def __str__(self) -> str:
        return f"{self.name}({self.args[:200]}) = {self.result[:80]}"


LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))")
UNFINISHED = " <unfinished ...>"
# The result is what follows the last " = "; the arguments may hold anything.
RESULT = re.compile(r"(.*)\) += (\S.*)", re.DOTALL)


def calls(trace: Path) -> list[Call]:
    """All calls, in the order in which they began."""
    found: list[Call] = []
    open_calls: dict[str, Call] = {}
    for n, line in enumerate(trace.read_text(errors="replace").splitlines()):
        match = LINE.fullmatch(line)
        if match is None:
            continue  # a signal, or the end of a process
        thread, name, rest, _, resumed = match.groups()
        if name is not None:
            call = Call(n, name, rest)
            found.append(call)
            if rest.endswith(UNFINISHED):
                call.args = rest.removesuffix(UNFINISHED)
                open_calls[thread] = call
                continue
        elif thread in open_calls:
            call = open_calls.pop(thread)
            call.args += resumed
        else:
            continue
        call.end = n
        if (parts := RESULT.fullmatch(call.args)) is not None:
            call.args, call.result = parts.groups()
    return found


# A descriptor and the file behind it, as -y prints it; of one without a name, "(deleted)" belongs to it.
DESCRIPTOR = re.compile(r"(AT_FDCWD|\d+)<([^>]*)>(\(deleted\))?")
AT = re.compile(r'(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, "([^"]*)"')
QUOTED = re.compile(r'"([^"]*)"')


def file_of(text: str) -> str:
    """The file behind the descriptor with which the text begins; empty if it begins with none."""
    match = DESCRIPTOR.match(text)
    return match[2] + (match[3] or "") if match else ""


def paths(call: Call) -> list[str]:
    """The paths that a call names, in order. A relative one stays so where the trace does not say to what."""
    if call.name.endswith(("at", "at2")):
        return [str(PurePosixPath(folder, name)) for folder, name in AT.findall(call.args)]
    return QUOTED.findall(call.args)


class Disk:
    """What was done to the files below top before a moment, and which of it is on disk."""

    def __init__(self, top: Path, all_calls: list[Call], moment: int) -> None:
        self.top = str(top)
        self.s3 = str(top / "s3" / "data")  # where the embedded S3 works, which names what is there relatively
        self._written: dict[str, int] = {}  # when a file's last change ended
        self._described: dict[str, int] = {}  # when that of its attributes did
        self._named: dict[str, int] = {}  # when a name came to be
        self._synced: dict[str, int] = {}  # when the last successful sync began
        self._nameless: dict[str, str] = {}  # descriptor: file without a name
        for call in sorted(all_calls, key=lambda c: c.end):
            if call.done and call.end < moment:
                self._take(call)

    def _take(self, call: Call) -> None:
        file = file_of(call.args)
        match call.name:
            case "open" | "openat" | "creat":
                self._opened(call)
            case "mkdir" | "mkdirat":
                # One that is there already is made again by a sandbox, in a file system of its own.
                self._named.setdefault(paths(call)[0], call.end)
            case "fsync" | "fdatasync":
                self._synced[file] = max(self._synced.get(file, -1), call.begin)
            case "setxattr" | "lsetxattr":
                self._described[str(PurePosixPath(self.s3, QUOTED.findall(call.args)[0]))] = call.end
            case "rename" | "renameat" | "renameat2":
                old, new = paths(call)
                self._move(old, new, call.end)
                self._named.pop(old, None)
            case "link" | "linkat":
                old, new = paths(call)
                if old.startswith("/proc/"):
                    old = self._nameless[old.rpartition("/")[2]]
                self._move(old, new, call.end)
            case "unlink" | "unlinkat" | "rmdir":
                for state in (self._written, self._described, self._named, self._synced):
                    state.pop(paths(call)[0], None)
            case "fsetxattr":
                self._described[file] = call.end
            case _ if call.name in WRITES:
                self._written[file] = call.end

    def _opened(self, call: Call) -> None:
        match = DESCRIPTOR.match(call.result)
        if match is None:
            return
        number, file = match[1], file_of(call.result)
        if file.endswith("(deleted)"):
            self._nameless[number] = file
        elif "O_CREAT" in call.args:
            self._named.setdefault(file, call.end)
        if "O_TRUNC" in call.args:
            self._written[file] = call.end

    def _move(self, old: str, new: str, moment: int) -> None:
        for state in (self._written, self._described, self._synced):
            if old in state:
                state[new] = state[old]
        self._named[new] = moment

    def knows(self, path: str) -> bool:
        return path in self._named

    def content(self, path: str) -> list[str]:
        """What is missing for the content of a file to be on disk."""
        return self._since(self._written, path, "written")

    def _since(self, changes: dict[str, int], path: str, what: str) -> list[str]:
        synced = path not in changes or self._synced.get(path, -1) > changes[path]
        return [] if synced else [f"{path}: was {what} and not synced since"]

    def name(self, path: str) -> list[str]:
        """What is missing for a name to be on disk, and those of the folders above it, up to top."""
        missing = []
        while len(path) >= len(self.top):
            folder = str(PurePosixPath(path).parent)
            if path in self._named and self._synced.get(folder, -1) < self._named[path]:
                missing.append(f"{folder}: was not synced since {PurePosixPath(path).name} came into it")
            path = folder
        return missing

    def file(self, path: str) -> list[str]:
        """What is missing for a file to be on disk, with all that belongs to it."""
        if not self.knows(path):
            return [f"{path}: is not there"]
        return self.content(path) + self._since(self._described, path, "given attributes") + self.name(path)


class Trace:
    def __init__(self, trace: Path, top: Path) -> None:
        self.top = top
        self.calls = calls(trace)

    def disk(self, moment: int) -> Disk:
        return Disk(self.top, self.calls, moment)

    def end(self) -> Disk:
        return self.disk(self.calls[-1].end + 1)

    def find(self, what: str, of: Callable[[Call], bool]) -> Iterator[Call]:
        some = False
        for call in self.calls:
            if call.done and of(call):
                some = True
                yield call
        assert some, f"the trace has no {what}"

    def first(self, what: str, of: Callable[[Call], bool]) -> Call:
        return next(self.find(what, of))

    def row(self, moment: int, *words: str) -> list[str]:
        """What is missing for the last row with these words, written to the database before a moment, to be on disk."""
        wal = str(self.top / "ergane.db-wal")
        before = [c for c in self.find(f"row with {words}", lambda c: self.writes_row(c, *words)) if c.end < moment]
        if not before:
            return [f"no row with {words} was written before"]
        last = before[-1].end
        synced = any(
            c.name in ("fsync", "fdatasync") and c.done and file_of(c.args) == wal and last < c.begin and c.end < moment
            for c in self.calls
        )
        return ([] if synced else [f"{wal}: was not synced since the row with {words} was written"]) + self.disk(
            moment
        ).name(wal)

    def writes_row(self, call: Call, *words: str) -> bool:
        wal = str(self.top / "ergane.db-wal")
        return call.name in WRITES and file_of(call.args) == wal and all(w in call.args for w in words)
