"""The Python processes in which Spark runs functions: a daemon for each kind, from which workers are forked.

Spark starts a daemon with the first function of a context, which takes a quarter of a second. A waiting context has the
one that DataFrames use already. It is Spark's own, started by Spark's own method with what Spark started the warm-up's
with, and a session that sets it up otherwise gets another.
"""

from __future__ import annotations

from typing import Any

# What only those that run functions of DataFrames are started with, by default.
OF_FRAMES = "SPARK_SIMPLIFIED_TRACEBACK"
FOLDERS = "SPARK_LOCAL_DIRS"  # they are each context's own

Kind = tuple[str, Any]  # the Python, and its environment as a Map of Scala's


def kinds(session: Any) -> list[Kind]:
    """Those that the session's context has had to do with. Raises what py4j does."""
    env = session._jvm.org.apache.spark.SparkEnv.get()
    field = env.getClass().getDeclaredField("pythonWorkers")
    field.setAccessible(True)
    found, keys = [], field.get(env).keysIterator()
    while keys.hasNext():
        key = keys.next()
        if key._2().contains(OF_FRAMES):
            found.append((str(key._1()), key._2()))
    return found


def start(session: Any, wanted: list[Kind]) -> None:
    """Starts a worker of each kind in the session's context, and lets go of it. Raises what py4j does."""
    env = session._jvm.org.apache.spark.SparkEnv.get()
    folders = ",".join(folder.getPath() for folder in env.blockManager().diskBlockManager().localDirs())
    for python, theirs in wanted:
        environment = theirs.updated(FOLDERS, folders)
        worker = env.createPythonWorker(python, environment)._1()
        env.releasePythonWorker(python, environment, worker)
