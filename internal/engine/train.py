"""The training run: a driver does what sessions do first, so that the JVM can
record the classes it needs. Reads the boot document named by its argument."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(java: dict) -> subprocess.Popen:
    """Starts the JVM and puts where it listens into the environment."""
    folder = Path(tempfile.mkdtemp())
    info = folder / "connection"
    environment = dict(java["env"], _PYSPARK_DRIVER_CONN_INFO_PATH=str(info))
    driver = subprocess.Popen(java["argv"], stdin=subprocess.PIPE, env=environment)
    while not info.exists():
        if driver.poll() is not None:
            sys.exit(f"the JVM exited with status {driver.returncode}")
        time.sleep(0.01)
    raw = info.read_bytes()
    port, length = struct.unpack(">ii", raw[:8])
    os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
    os.environ["PYSPARK_GATEWAY_SECRET"] = raw[8 : 8 + length].decode()
    return driver


def exercise(spark) -> None:
    from pyspark.sql import functions

    spark.sql("select 1").collect()
    spark.range(10).count()
    frame = spark.createDataFrame([(1, "a"), (2, "b"), (3, "a")], ["id", "name"])
    frame.createOrReplaceTempView("names")
    spark.sql("select name, count(*) n, max(id) from names group by name order by n").show()
    frame.join(spark.range(5), "id").toPandas()
    plus = functions.udf(lambda n: n + 1, "long")
    spark.range(3).select(plus("id")).collect()
    spark.sparkContext.parallelize(range(4), 2).map(lambda n: n * 2).sum()
    with tempfile.TemporaryDirectory() as folder:
        frame.write.parquet(folder + "/parquet")
        spark.read.parquet(folder + "/parquet").where("id > 1").count()
        frame.write.csv(folder + "/csv", header=True)
        spark.read.csv(folder + "/csv", header=True).count()
    try:
        spark.read.parquet("s3://nobody/there")
    except Exception as error:
        print("as expected:", type(error).__name__)


def main() -> None:
    boot = json.loads(Path(sys.argv[1]).read_text())
    driver = start(boot["java"])
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    SparkContext._ensure_initialized(gateway=launch_gateway())
    conf = SparkConf().setAll(list(boot["spark"].items()))
    spark = SparkSession(SparkContext(conf=conf))
    exercise(spark)
    spark.stop()
    driver.stdin.close()  # the gateway ends with it, and the archive is written
    sys.exit(driver.wait())


if __name__ == "__main__":
    main()
