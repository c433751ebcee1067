"""What the catalog holds, as data: tables over objects of the lake, and views of the portable SQL over them.

Names, columns and comments are the contract's and the warehouse's; nothing is found out by looking at files, and no
value ever becomes part of a statement: which uploads count is a table too. Who enters this is `views.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alumni_assets import contract, layout
from alumni_assets.queries import DERIVED_QUERIES, PLACED_ROWS, TABLE_OF_QUERY, derived_query, query

_HIVE_TYPES = {"int8": "tinyint", "int64": "bigint", "string": "string", "timestamp[us]": "timestamp"}
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"


@dataclass(frozen=True)
class Column:
    """One column of a table; `type` is its Arrow type by name."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class StoredTable:
    """A table whose rows are the Parquet objects below `folder` in the lake."""

    name: str
    comment: str
    folder: str
    columns: tuple[Column, ...]

    def as_table_input(self, location: str) -> dict[str, Any]:
        """The table as AWS Glue's API takes it; `location` is the URL of its folder."""
        return {
            "Name": self.name,
            "Description": self.comment,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
            "StorageDescriptor": {
                "Columns": [
                    {"Name": column.name, "Type": _HIVE_TYPES[column.type], "Comment": column.comment}
                    for column in self.columns
                ],
                "Location": location,
                "InputFormat": f"{_PARQUET}.MapredParquetInputFormat",
                "OutputFormat": f"{_PARQUET}.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": f"{_PARQUET}.serde.ParquetHiveSerDe"},
            },
        }


def _transformed_column(name: str, kind: str) -> Column:
    return Column(name, kind, contract.LINEAGE.get(name) or contract.BY_NAME[name].description)


TRANSFORMED = StoredTable(
    "transformed_survey",
    "Every transformed row of every upload, whether it counts or not: survey_responses has those that do.",
    layout.TRANSFORMED,
    tuple(_transformed_column(*column) for column in contract.TRANSFORMED_COLUMNS.items()),
)
COUNTING_UPLOADS = StoredTable(
    "counting_uploads",
    "The uploads whose rows count.",
    layout.catalog_folder("counting_uploads"),
    (Column("upload", "string", "The upload's id."),),
)
CORRECTIONS = StoredTable(
    "corrections",
    "Those of them that correct rows of another upload.",
    layout.catalog_folder("corrections"),
    (
        Column("correction", "string", "The upload's id."),
        Column("place", "int64", "The order in which they came, from 1: of several for one row the last one's counts."),
    ),
)
ARRIVALS = StoredTable(
    "arrivals",
    "When uploads were received.",
    layout.catalog_folder("arrivals"),
    (
        Column("received_at", "timestamp[us]", "In UTC."),
        Column("received_on", "timestamp[us]", "The same in the survey's time zone."),
    ),
)
STORED_TABLES = (TRANSFORMED, COUNTING_UPLOADS, CORRECTIONS, ARRIVALS)

_RESPONSES = f"""WITH transformed AS (
    SELECT {", ".join(f"stored.{name}" for name in contract.TRANSFORMED_COLUMNS)}
    FROM {TRANSFORMED.name} AS stored
    JOIN {COUNTING_UPLOADS.name} ON {COUNTING_UPLOADS.name}.upload = coalesce(stored.corrected_by, stored.upload)
)
{query(PLACED_ROWS)}"""

# The query of each view, in an order in which each finds what it reads.
VIEWS: Mapping[str, str] = {
    "survey_responses": _RESPONSES,
    **{TABLE_OF_QUERY.get(name, name): derived_query(name) for name in DERIVED_QUERIES},
}


def view_statement(name: str) -> str:
    """The statement that makes one of `VIEWS`, or replaces it."""
    return f"CREATE OR REPLACE VIEW {name} AS\n{VIEWS[name]}"
