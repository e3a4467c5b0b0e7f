"""Which version of which peer is measured: each is installed from its package index into a folder of its own."""

from __future__ import annotations

# The engine's PySpark, shared by those that run PySpark 3.5 themselves: they differ in what is around it, not in it.
SHARED_ENGINE = "engine"

PINS: dict[str, list[str]] = {
    "jupyter": [SHARED_ENGINE, "jupyter-server==2.21.1", "ipykernel==7.4.0", "websocket-client==1.9.2"],
    "gateway": [SHARED_ENGINE, "jupyter-enterprise-gateway==3.3.0", "ipykernel==6.29.5", "websocket-client==1.9.2"],
    "connect": ["pyspark[connect]==4.3.0"],
    # The client of Sail is Spark's own, without Spark.
    "sail": ["pysail==0.7.2", "pyspark-client==4.2.0"],
    "pyathena": ["PyAthena==4.2.1"],
    "awswrangler": ["awswrangler==3.17.1"],
}
