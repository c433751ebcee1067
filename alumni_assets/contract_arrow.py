"""The contract's tables as Arrow schemas. What the columns are is in `contract.py`."""

import pyarrow as pa

from alumni_assets.contract import INVALID_COLUMNS, TRANSFORMED_COLUMNS, VALID_COLUMNS

TIMESTAMP = pa.timestamp("us")
PROBLEM_TYPE = pa.struct([pa.field(name, pa.string()) for name in ("code", "column", "value", "message", "suggestion")])
_TYPES = {
    "int64": pa.int64(),
    "int8": pa.int8(),
    "string": pa.string(),
    "timestamp[us]": TIMESTAMP,
    "list of problems": pa.list_(PROBLEM_TYPE),
}


def _schema(columns: dict[str, str]) -> pa.Schema:
    return pa.schema([pa.field(name, _TYPES[kind]) for name, kind in columns.items()])


VALID_SCHEMA = _schema(VALID_COLUMNS)
TRANSFORMED_SCHEMA = _schema(TRANSFORMED_COLUMNS)
INVALID_SCHEMA = _schema(INVALID_COLUMNS)
