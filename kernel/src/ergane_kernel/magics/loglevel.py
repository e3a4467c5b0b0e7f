"""%set_log_level."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .usage import UsageError, words

if TYPE_CHECKING:
    from ..shell import Shell

# Level of the magic: level of log4j, level of Python.
LEVELS = {
    "DEBUG": ("DEBUG", logging.DEBUG),
    "ERROR": ("ERROR", logging.ERROR),
    "FATAL": ("FATAL", logging.FATAL),
    "INFO": ("INFO", logging.INFO),
    "WARN": ("WARN", logging.WARNING),
    "WARNING": ("WARN", logging.WARNING),
}


class LoggingMagics:
    line = ("set_log_level",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def set_log_level(self, line: str) -> None:
        """Sets the level of Spark's log and of the two loggers: DEBUG, ERROR, FATAL, INFO, WARN or WARNING.

        %set_log_level INFO    from the next line of the log on; Spark begins with WARN, the loggers with INFO
        """
        given = words(line)
        if len(given) != 1 or given[0] not in LEVELS:
            raise UsageError(f"write %set_log_level and one of {' '.join(LEVELS)}, in upper case and without quotes")
        java, python = LEVELS[given[0]]
        for logger in self._shell.loggers.values():
            logger.setLevel(python)
        context = _context()
        if context is not None:
            context.setLogLevel(java)
        print(f"The log level is {given[0]}.")


def _context():  # noqa: ANN202 - pyspark.SparkContext, or None without Spark
    import sys

    pyspark = sys.modules.get("pyspark")
    return pyspark.SparkContext._active_spark_context if pyspark is not None else None
