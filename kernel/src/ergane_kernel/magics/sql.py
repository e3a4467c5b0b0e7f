"""%%sql."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .usage import UsageError

if TYPE_CHECKING:
    from ..shell import Shell

ROWS = 20
CELL = 20  # characters, as of show()
HTML_CELL = 200


class SqlMagics:
    cell = ("sql",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def sql(self, line: str, cell: str) -> None:
        """Runs one statement of Spark SQL and shows its first 20 rows, as show() does.

        %%sql
        SELECT *
        FROM sales

        The rows are printed, and a table of them is among the block's results. The DataFrame is `_` in the next block.
        """
        session = self._session()
        try:
            frame = session.sql(f"{line}\n{cell}" if line.strip() else cell)
            text, html = _shown(session, frame) if frame.columns else ("", "")
        except Exception as error:
            raise error.with_traceback(None) from None  # Spark's message; the frames of the magic add nothing
        self._shell.user_ns["_"] = frame
        if text:
            print(text)
            self._shell.display_pub.publish({"text/html": html, "text/plain": text.rstrip("\n")})

    def _session(self) -> Any:
        pyspark = sys.modules.get("pyspark")
        if pyspark is None or pyspark.SparkContext._active_spark_context is None:
            raise UsageError("%%sql needs Spark, which is not running")
        kind = pyspark.sql.SparkSession
        users = self._shell.user_ns.get("spark")
        return users if isinstance(users, kind) else kind.builder.getOrCreate()


def _shown(session: Any, frame: Any) -> tuple[str, str]:
    """The beginning of frame as text and as HTML, both Spark's own. The query runs once: its rows make a new frame."""
    java = frame._jdf
    rows = session._jsparkSession.createDataFrame(java.takeAsList(ROWS + 1), java.schema())
    return rows.showString(ROWS, CELL, False), rows.htmlString(ROWS, HTML_CELL)
