"""Types of columns as Spark writes them, from Arrow's and from the warehouse's."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from alumni_assets.warehouse.tables import Column

_OF_ARROW = {
    pa.int64(): "bigint",
    pa.int8(): "tinyint",
    pa.string(): "string",
    pa.timestamp("us"): "timestamp_ntz",
}
# The warehouse's type: Spark's and Arrow's.
_OF_WAREHOUSE = {
    "BIGINT": ("bigint", pa.int64()),
    "TINYINT": ("tinyint", pa.int8()),
    "VARCHAR": ("string", pa.string()),
    "DOUBLE": ("double", pa.float64()),
    "BOOLEAN": ("boolean", pa.bool_()),
    "TIMESTAMP": ("timestamp_ntz", pa.timestamp("us")),
}


def spark_schema(schema: pa.Schema) -> str:
    """An Arrow schema as Spark's DDL."""
    return ", ".join(f"{field.name} {_OF_ARROW[field.type]}" for field in schema)


def spark_type(column: "Column") -> str:
    """The Spark type of a column of the warehouse."""
    return _OF_WAREHOUSE[column.type][0]


def arrow_schema(columns: Iterable["Column"]) -> pa.Schema:
    """The Arrow schema of columns of the warehouse."""
    return pa.schema([pa.field(column.name, _OF_WAREHOUSE[column.type][1]) for column in columns])
