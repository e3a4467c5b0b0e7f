"""The Python processes in which Spark runs functions: a daemon for each kind, from which workers are forked.

Spark starts a daemon with the first function of a context, which takes a quarter of a second. A waiting context already
has the one for DataFrames. Spark's own method starts it, with the same arguments as in the warm-up; a session with
another configuration of it gets another daemon.
"""

from __future__ import annotations

from typing import Any

# By default, only those that run functions of DataFrames are started with this.
OF_FRAMES = "SPARK_SIMPLIFIED_TRACEBACK"
FOLDERS = "SPARK_LOCAL_DIRS"  # each context has its own

Kind = tuple[str, Any]  # the Python, and its environment as a Map of Scala's


def kinds(session: Any) -> list[Kind]:
    """The kinds that the session's context has used. Raises the errors of py4j."""
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
    """Starts a worker of each kind in the session's context, and releases it. Raises the errors of py4j."""
    env = session._jvm.org.apache.spark.SparkEnv.get()
    folders = ",".join(folder.getPath() for folder in env.blockManager().diskBlockManager().localDirs())
    for python, theirs in wanted:
        environment = theirs.updated(FOLDERS, folders)
        worker = env.createPythonWorker(python, environment)._1()
        env.releasePythonWorker(python, environment, worker)
