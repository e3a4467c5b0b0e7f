"""Rows as text and as HTML, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

MAX_ROWS = 200
MAX_COLUMNS = 100
HTML_CELL = 500  # characters
TEXT_CELL = 60


@dataclass(frozen=True)
class Table:
    columns: list[str]
    rows: list[list[Any]]  # one more than MAX_ROWS says that there are more


def as_html(table: Table) -> str:
    columns = table.columns[:MAX_COLUMNS]
    head = "".join(f"<th>{escape(_cell(name, HTML_CELL))}</th>" for name in columns)
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in table.rows[:MAX_ROWS]:
        cells = "".join(f"<td>{escape(_cell(value, HTML_CELL))}</td>" for value in row[: len(columns)])
        lines.append(f"<tr>{cells}</tr>")
    lines += ["</tbody>", "</table>"]
    lines += [f"<p>{escape(remark)}</p>" for remark in _remarks(table)]
    return "\n".join(lines)


def as_text(table: Table) -> str:
    """The table as text, like show()."""
    columns = [_text(name) for name in table.columns[:MAX_COLUMNS]]
    rows = [[_text(value) for value in row[: len(columns)]] for row in table.rows[:MAX_ROWS]]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    rule = "+" + "+".join("-" * width for width in widths) + "+"
    lines = [rule, _line(columns, widths), rule, *(_line(row, widths) for row in rows), rule]
    return "\n".join([*lines, *_remarks(table)])


def _line(cells: list[str], widths: list[int]) -> str:
    return "|" + "|".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + "|"


def _text(value: Any) -> str:
    return " ".join(_cell(value, TEXT_CELL).split())


def _cell(value: Any, limit: int) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _remarks(table: Table) -> list[str]:
    remarks = []
    if len(table.rows) > MAX_ROWS:
        remarks.append(f"only showing the first {MAX_ROWS} rows")
    if len(table.columns) > MAX_COLUMNS:
        remarks.append(f"only showing the first {MAX_COLUMNS} of {len(table.columns)} columns")
    return remarks
