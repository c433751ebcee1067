"""A stand-in for Athena over HTTP: the API's calls, with DuckDB in Athena's place.

Statements come in Athena's dialect and are translated by sqlglot. Tables are looked up in Glue's catalog, their rows
read from S3, columns by name, timestamps to the millisecond as Athena has them. Results come in pages of text with
types, the header first, as Athena gives them. It knows views, SELECT, and what is wrong with a statement.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import duckdb
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

PAGE = 5  # rows of a page, fewer than are asked for: whoever stops at the first page is found out
_TYPES = {"bigint": "BIGINT", "tinyint": "TINYINT", "string": "VARCHAR", "timestamp": "TIMESTAMP_MS"}
_NAMES = {"VARCHAR": "varchar", "TIMESTAMP_MS": "timestamp", "TIMESTAMP": "timestamp", "HUGEINT": "bigint"}


@dataclass
class Execution:
    """One statement and how it ended."""

    statement: str
    workgroup: str
    database: str
    state: str = "SUCCEEDED"
    reason: str = ""
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[str | None, ...]] = field(default_factory=list)


class AthenaServer:
    """The stand-in; `url` is its address. `executions` has every statement, in the order in which they came."""

    url: str

    def __init__(self, glue: "GlueClient", s3: "S3Client") -> None:
        self._glue, self._s3 = glue, s3
        self._views: dict[str, exp.Expression] = {}
        self.executions: dict[str, Execution] = {}

    def answer(self, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        if call == "StartQueryExecution":
            execution = Execution(asked["QueryString"], asked["WorkGroup"], asked["QueryExecutionContext"]["Database"])
            name = str(uuid4())
            self.executions[name] = execution
            self._run(execution)
            return {"QueryExecutionId": name}
        execution = self.executions[asked["QueryExecutionId"]]
        if call == "GetQueryExecution":
            return {"QueryExecution": _as_execution(asked["QueryExecutionId"], execution)}
        assert call == "GetQueryResults", call
        return _as_page(execution, int(asked.get("NextToken", "0")))

    def drop_view(self, name: str) -> None:
        """What somebody does in the console."""
        del self._views[name]

    def _run(self, execution: Execution) -> None:
        try:
            parsed = sqlglot.parse_one(execution.statement, read="athena")
            query = parsed.expression if isinstance(parsed, exp.Create) else parsed
            with TemporaryDirectory() as folder, duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                is_view = isinstance(parsed, exp.Create)
                self._offer_tables(connection, execution.database, Path(folder), with_rows=not is_view)
                for name, view in self._views.items():
                    connection.execute(f"CREATE VIEW {name} AS {view.sql(dialect='duckdb')}")
                result = connection.execute(query.sql(dialect="duckdb"))
                if is_view:
                    self._views[parsed.this.name] = query
                    return
                execution.columns = [
                    (name, _NAMES.get(str(kind), str(kind).lower())) for name, kind, *_ in result.description or ()
                ]
                execution.rows = [tuple(map(_as_text, row)) for row in result.fetchall()]
        except (duckdb.Error, sqlglot.errors.ParseError) as error:
            execution.state, execution.reason = "FAILED", f"SYNTAX_ERROR: {error}"

    def _offer_tables(
        self, connection: duckdb.DuckDBPyConnection, database: str, folder: Path, with_rows: bool
    ) -> None:
        for table in self._glue.get_tables(DatabaseName=database)["TableList"]:
            name, stored = table["Name"], table["StorageDescriptor"]
            columns = [(column["Name"], _TYPES[column["Type"]]) for column in stored["Columns"]]
            definitions = ", ".join(f"{column} {kind}" for column, kind in columns)
            connection.execute(f"CREATE TABLE {name} ({definitions})")
            for number, content in enumerate(self._objects(stored["Location"]) if with_rows else ()):
                path = folder / f"{name}-{number}.parquet"
                path.write_bytes(content)
                # A column that a file does not have is null, and one that the table does not have is not read.
                present = [column for column, _ in columns if column in pq.read_schema(path).names]
                connection.execute(
                    f"INSERT INTO {name} BY NAME SELECT {', '.join(present)} FROM read_parquet($1)", [str(path)]
                )

    def _objects(self, location: str) -> Iterator[bytes]:
        parts = urlsplit(location)
        listed = self._s3.list_objects_v2(Bucket=parts.netloc, Prefix=parts.path.lstrip("/"))
        for item in listed.get("Contents", []):
            yield self._s3.get_object(Bucket=parts.netloc, Key=item["Key"])["Body"].read()


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _as_execution(name: str, execution: Execution) -> dict[str, Any]:
    return {
        "QueryExecutionId": name,
        "Query": execution.statement,
        "StatementType": "DML" if execution.columns else "DDL",
        "WorkGroup": execution.workgroup,
        "ResultConfiguration": {"OutputLocation": f"s3://results/{name}.csv"},
        "QueryExecutionContext": {"Database": execution.database, "Catalog": "awsdatacatalog"},
        "Status": {
            "State": execution.state,
            "StateChangeReason": execution.reason,
            "SubmissionDateTime": time.time(),
            "CompletionDateTime": time.time(),
        },
        "Statistics": {"DataScannedInBytes": 0},
    }


def _as_page(execution: Execution, start: int) -> dict[str, Any]:
    names = tuple(name for name, _ in execution.columns)
    lines = [names, *execution.rows] if names else []
    page, end = lines[start : start + PAGE], start + PAGE
    return {
        "ResultSet": {
            "Rows": [{"Data": [{} if value is None else {"VarCharValue": value} for value in line]} for line in page],
            "ResultSetMetadata": {
                "ColumnInfo": [
                    {"Name": name, "Type": kind, "Nullable": "UNKNOWN", "Precision": 0, "Scale": 0}
                    for name, kind in execution.columns
                ]
            },
        },
        **({"NextToken": str(end)} if end < len(lines) else {}),
    }


@contextmanager
def serving(glue: "GlueClient", s3: "S3Client") -> Iterator[AthenaServer]:
    """The stand-in at work on this machine."""
    athena = AthenaServer(glue, s3)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(athena.answer(self.headers["X-Amz-Target"].partition(".")[2], asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """The tests' output is for tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        athena.url = f"http://127.0.0.1:{server.server_port}"
        yield athena
        server.shutdown()
        thread.join()
