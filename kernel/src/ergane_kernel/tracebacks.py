"""The text of an exception as Athena writes it to stderr: from the user's first frame on, without a header line."""

from __future__ import annotations

import re
from json import dumps
from os.path import dirname
from traceback import TracebackException

USER_FILE = "<stdin>"
NAME_BYTES = 256
VALUE_BYTES = 4096

_HEADER = re.compile(r"[ |+]*(Exception Group )?Traceback \(most recent call last\):\n")
_OURS = dirname(__file__)


def text(error: BaseException) -> str:
    """The traceback of error, and of the errors from which or during which it was raised."""
    try:
        trace = TracebackException.from_exception(error, compact=True)
        _trim(trace, set())
        return "".join(line for line in trace.format() if not _HEADER.fullmatch(line))
    except Exception:
        # Only for a hostile exception class; only its name can be read without running its code.
        return f"{type(error).__name__}\n"


def describe(error: BaseException) -> dict[str, str]:
    """Name and text of error for the outcome, each bounded in its JSON form."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("__main__", "builtins"):
        name = f"{kind.__module__}.{name}"
    try:
        value = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        value = f"<exception str() failed: {kind.__name__}>"
    return {"name": bounded(name, NAME_BYTES), "value": bounded(value, VALUE_BYTES)}


def words(error: BaseException, attempts: int = 3) -> tuple[dict[str, str], str]:
    """What describe and text return for error; raises nothing, even if a signal handler raises meanwhile."""
    try:
        return describe(error), text(error)
    except BaseException as another:
        if attempts:
            return words(another, attempts - 1)
        return {"name": bounded(type(error).__name__, NAME_BYTES), "value": ""}, f"{type(error).__name__}\n"


def bounded(value: str, limit: int) -> str:
    """The beginning of value that takes at most limit bytes as a JSON string."""
    value = value[:limit]
    while len(dumps(value)) - 2 > limit:
        # Escaping makes up to twelve bytes of a character: cutting in proportion ends after a few rounds.
        value = value[: min(len(value) - 1, len(value) * limit // (len(dumps(value)) - 2))]
    return value


def _trim(trace: TracebackException, seen: set[int]) -> None:
    if id(trace) in seen:
        return
    seen.add(id(trace))
    stack = trace.stack
    first = next((n for n, frame in enumerate(stack) if frame.filename == USER_FILE), None)
    if first is None:
        first = next((n for n, frame in enumerate(stack) if not _is_machinery(frame.filename)), len(stack))
    del stack[:first]
    # The rest are the frames between a magic's line and its code, or our signal handler.
    stack[:] = [frame for frame in stack if not _is_machinery(frame.filename)]
    for other in (trace.__cause__, trace.__context__, *(getattr(trace, "exceptions", None) or ())):
        if other is not None:
            _trim(other, seen)


def _is_machinery(filename: str) -> bool:
    return filename.startswith(_OURS) or "/IPython/" in filename
