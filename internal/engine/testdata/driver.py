"""Runs a driver as train.py does and prints what Spark says to malformed sizes."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import train


def main() -> None:
    boot = json.loads(Path(sys.argv[1]).read_text())
    driver = train.start(boot["java"])
    from pyspark import SparkConf, SparkContext
    from pyspark.errors.exceptions.captured import CapturedException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    SparkContext._ensure_initialized(gateway=launch_gateway())
    conf = SparkConf().setAll(list(boot["spark"].items()))
    spark = SparkSession(SparkContext(conf=conf))
    train.exercise(spark)
    pairs = spark.sparkContext.parallelize([(str(n), n) for n in range(20)]).partitionBy(7)
    said = {"spark": spark.version, "lookups": sum(pairs.lookup(str(n)) == [n] for n in range(20))}
    sizes = {}
    for size in boot["sizes"]:
        try:
            parse = SparkContext._jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes
            sizes[size] = str(parse(size))
        except CapturedException as error:
            sizes[size] = str(error.desc)
    said["sizes"] = sizes
    spark.stop()
    driver.stdin.close()
    driver.wait()
    print("SAID " + json.dumps(said))


if __name__ == "__main__":
    main()
