"""The old Glue job on a Spark of this machine: typed columns, clean names, exact duplicates, one row per employee.

Leaves out: validation (a cell that cannot be typed becomes null, any other bad cell stays), so no bad rows and no
reasons; row numbers, words of the vocabularies in their usual spelling, names such as McCullough, correction files,
other encodings, numbering plans of other countries. Does besides: one row per employee id, which ours does later.
"""

import json
import sys
import time

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

_TITLES = r"(?i)^((dr|mr|ms|mrs)\.?\s+)+"
_SUFFIXES = r"(?i)([\s,]+(dvm|md|phd|dds|esq|jr|sr)\.?)+$"


def cleaned_name() -> Column:
    """Title-cased names without titles and suffixes."""
    bare = F.regexp_replace(F.regexp_replace("Employee_Name", _TITLES, ""), _SUFFIXES, "")
    return F.initcap(bare)


def cleaned_email() -> Column:
    """Addresses with their domain in lower case, and gmail for example."""
    domain = F.lower(F.regexp_extract("Email", "@(.*)$", 1))
    return F.concat(
        F.regexp_extract("Email", "^(.*)@", 1), F.lit("@"), F.regexp_replace(domain, r"\bexample\b", "gmail")
    )


def transformed(rows: DataFrame) -> DataFrame:
    """Clean rows, exact duplicates dropped."""
    trimmed = rows.select([F.trim(F.col(f"`{name}`")).alias(name) for name in rows.columns])
    number = F.expr("right(regexp_replace(Phone_Number, '[^0-9]', ''), 10)")
    return (
        trimmed.withColumn("Employee_ID", F.expr("try_cast(Employee_ID AS BIGINT)"))
        .withColumn("Employee_Name", cleaned_name())
        .withColumn("Job_Role", F.initcap("Job_Role"))
        .withColumn("Email", cleaned_email())
        .withColumn("Phone_Number", F.concat(F.lit("+63 "), number))
        .withColumn("Performance_Rating", F.expr("try_cast(Performance_Rating AS TINYINT)"))
        .withColumn("Submission_Date", F.expr("try_cast(`Submission Date` AS TIMESTAMP)"))
        .drop("Submission Date")
        .dropDuplicates()
    )


def deduplicated(rows: DataFrame) -> DataFrame:
    """One row for each employee: the newest."""
    newest_first = Window.partitionBy("Employee_ID").orderBy(F.desc("Submission_Date"))
    return rows.withColumn("place", F.row_number().over(newest_first)).filter("place = 1").drop("place")


def main(source: str, folder: str) -> None:
    """Write the transformed and the deduplicated rows of a CSV file as Parquet."""
    started = time.monotonic()
    spark = SparkSession.builder.master("local[*]").config("spark.ui.enabled", "false").getOrCreate()
    clean = transformed(spark.read.csv(source, header=True))
    clean.write.parquet(f"{folder}/transformed", compression="zstd")
    stored = spark.read.parquet(f"{folder}/transformed")
    deduplicated(stored).write.parquet(f"{folder}/deduplicated", compression="zstd")
    rows = stored.count()
    spark.stop()
    sys.stdout.write(json.dumps({"rows_out": rows, "seconds": {"all": round(time.monotonic() - started, 3)}}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
