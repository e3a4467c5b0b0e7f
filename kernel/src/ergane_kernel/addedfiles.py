"""sc.addFile and sc.addPyFile when they fail.

Spark records a file before it fetches it. A file that cannot be fetched, because another of the same name exists,
would stay among those that every task fetches, and every later job of the session would fail.
"""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import Any


def forget_failed_files(context_class: Any) -> None:
    """Makes addFile of pyspark.SparkContext, which addPyFile calls as well, leave no trace of a failure."""
    add = context_class.addFile

    @wraps(add)
    def add_file(self: Any, path: str, recursive: bool = False) -> None:
        before = set(self.listFiles)
        try:
            add(self, path, recursive)
        except Exception:
            with suppress(Exception):  # the block has to see the first failure
                files = self._jsc.sc().addedFiles().apply("default")
                for name in set(self.listFiles) - before:
                    files.remove(name)
            raise

    context_class.addFile = add_file
