"""A week of flights from New York: which airlines were late?

    ergane run --files examples/data examples/tour.py

Reads a CSV and a Parquet file from s3://, joins and aggregates them, writes
the result back as Parquet partitioned by airport, and shows it.
"""

import sys

from pyspark.sql import functions as F

if len(sys.argv) < 2:
    sys.exit("usage: ergane run --files examples/data examples/tour.py")

data = sys.argv[1]  # the s3:// address that --files was copied to

airlines = spark.read.csv(f"{data}/airlines.csv", header=True)
flights = spark.read.parquet(f"{data}/flights.parquet")
print(f"{flights.count()} flights of {airlines.count()} airlines in {data}")

late = (
    flights.join(airlines, "carrier")
    .groupBy("origin", "name")
    .agg(
        F.count("*").alias("flights"),
        F.sum(F.col("dep_delay").isNull().cast("int")).alias("cancelled"),
        F.round(F.avg("dep_delay"), 1).alias("avg_delay"),
        F.max("dep_delay").alias("worst"),
    )
)

report = f"{data}/report"
late.write.mode("overwrite").partitionBy("origin").parquet(report)
print(f"wrote {report}")

print("The latest airlines with at least 50 flights, delays in minutes:")
(
    spark.read.parquet(report)
    .where("flights >= 50")
    .orderBy(F.desc("avg_delay"), "name", "origin")
    .select("name", "origin", "flights", "cancelled", "avg_delay", "worst")
    .show(10, truncate=False)
)
