"""%table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from IPython.core.magic import needs_local_scope, no_var_expand

from ..tables import MAX_ROWS, Table, as_html, as_text
from .usage import UsageError

if TYPE_CHECKING:
    from ..shell import Shell


class TableMagics:
    line = ("table",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @needs_local_scope
    @no_var_expand
    def table(self, line: str, local_ns: dict[str, Any] | None = None) -> None:
        """Renders rows as a table: a list of Rows, tuples or dictionaries, or a DataFrame of Spark or pandas.

        %table rows    at most 200 rows; any expression of Python may stand in place of `rows`
        """
        if not line.strip():
            raise UsageError("write %table and what holds the rows: %table rows")
        value = eval(compile(line.strip(), "<table>", "eval"), self._shell.user_ns, local_ns)
        table = _table(value)
        self._shell.display_pub.publish({"text/html": as_html(table), "text/plain": as_text(table)})


def _table(value: Any) -> Table:
    if hasattr(value, "_jdf") or type(value).__module__.startswith("pyspark.sql.connect."):
        return Table(list(value.columns), [list(row) for row in value.take(MAX_ROWS + 1)])
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return _of_pandas(value.iloc[: MAX_ROWS + 1], pandas)
    if hasattr(value, "tolist"):  # an array
        value = value[: MAX_ROWS + 1].tolist() if getattr(value, "ndim", 0) else [value.tolist()]
    if _fields(value):
        value = [value]  # one row
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise UsageError(f"%table takes rows (a list of Rows, tuples or dictionaries, or a DataFrame), not {_a(value)}")
    return _of_rows(list(islice(value, MAX_ROWS + 1)))


def _of_pandas(value: Any, pandas: Any) -> Table:
    frame = value.to_frame() if isinstance(value, pandas.Series) else value
    rows = [list(row) for row in frame.itertuples(index=False, name=None)]
    columns = [str(name) for name in frame.columns]
    if not isinstance(frame.index, pandas.RangeIndex):
        columns.insert(0, str(frame.index.name or ""))
        rows = [[index, *row] for index, row in zip(frame.index, rows, strict=True)]
    return Table(columns, rows)


def _of_rows(rows: list[Any]) -> Table:
    names: dict[str, None] = {}
    width = 0
    for row in rows:
        names.update(dict.fromkeys(_fields(row)))
        if not _fields(row):
            width = max(width, len(row) if isinstance(row, (list, tuple)) else 1)
    columns = [*names, *(f"_{n}" for n in range(len(names) + 1, width + 1))]
    return Table([str(name) for name in columns], [_cells(row, columns) for row in rows])


def _cells(row: Any, columns: list[str]) -> list[Any]:
    fields = _fields(row)
    if fields:
        values = row if isinstance(row, Mapping) else dict(zip(fields, row, strict=False))
        return [values.get(name) for name in columns]
    cells = list(row) if isinstance(row, (list, tuple)) else [row]
    return cells + [None] * (len(columns) - len(cells))


def _fields(row: Any) -> list[str]:
    """The names of a row's cells: of a mapping, a Spark Row or a named tuple."""
    if isinstance(row, Mapping):
        return list(row)
    if isinstance(row, tuple):
        return list(getattr(row, "__fields__", None) or getattr(row, "_fields", None) or ())
    return []


def _a(value: Any) -> str:
    return f"an object of the type {type(value).__name__}"
