"""Survey rows that are small enough to write out by hand, and a lake and a warehouse to put them into."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets.contract import NAMES
from alumni_assets.contract_arrow import INVALID_SCHEMA, TRANSFORMED_SCHEMA, VALID_SCHEMA
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.survey.quarantine import SetAside
from alumni_assets.warehouse.answers import refresh_answer
from alumni_assets.warehouse.merging import MergeReport, merge_uploads
from alumni_assets.warehouse.quarantine import QuarantineReport, merge_quarantine

Row = dict[str, Any]

RECEIVED = datetime(2026, 11, 1, 8)


def response(employee_id: int, **given: Any) -> Row:
    """A transformed row of the contract; what is not given is the same for all."""
    return {
        "employee_id": employee_id,
        "employee_name": "Valerie Rivera",
        "college_degree": "Computer Science",
        "department": "HR",
        "job_role": "Product Manager",
        "dmc_campus": "Main",
        "email": "valerie@gmail.com",
        "phone_number": "+63 9577284792",
        "performance_rating": 3,
        "submission_date": None,
    } | given


def problem(code: str, column: str, message: str, suggestion: str | None = None) -> dict[str, str | None]:
    return {"code": code, "column": column, "value": "?", "message": message, "suggestion": suggestion}


def set_aside(upload: str, rows: int, **given: Any) -> SetAside:
    """The rows of an upload that were set aside."""
    return SetAside(**{"upload": upload, "received_at": RECEIVED, "invalid_content": "first", "rows": rows} | given)


def write_transformed(path: Path, upload: str, rows: Iterable[Row], received_at: datetime = RECEIVED) -> None:
    """Write the transformed Parquet file of an upload: the rows are numbered from 1 unless they say otherwise."""
    numbered = [
        {"upload": upload, "source_row": number, "received_at": received_at} | row
        for number, row in enumerate(rows, start=1)
    ]
    pq.write_table(pa.Table.from_pylist(numbered, schema=TRANSFORMED_SCHEMA), path)


class Survey:
    """A lake and a warehouse in a folder, and what the pipeline does with them."""

    def __init__(self, folder: Path) -> None:
        (folder / "lake").mkdir(parents=True, exist_ok=True)
        self.lake = FolderLake(folder / "lake")
        self.warehouse = WarehouseResource(home=str(folder / "home"))

    def transformed(self, upload: str, *rows: Row, received_at: datetime = RECEIVED) -> None:
        """Store the transformed rows of an upload."""
        with self.lake.writing(f"transformed/{upload}.parquet") as path:
            write_transformed(path, upload, rows, received_at)

    def invalid(self, upload: str, *rows: Row) -> None:
        """Store the invalid rows of an upload; a row gives its problems and the cells that it has."""
        nothing = dict.fromkeys(NAMES) | {"other_columns": None}
        numbered = [nothing | {"upload": upload, "source_row": n} | row for n, row in enumerate(rows, start=1)]
        with self.lake.writing(f"invalid/{upload}.parquet") as path:
            pq.write_table(pa.Table.from_pylist(numbered, schema=INVALID_SCHEMA), path)

    def returned(self, correction: str, upload: str, *rows: int) -> None:
        """Store that these rows of an upload came back valid in a correction."""
        valid = [dict.fromkeys(NAMES) | {"upload": upload, "source_row": row} for row in rows]
        with self.lake.writing(f"valid/{correction}.parquet") as path:
            pq.write_table(pa.Table.from_pylist(valid, schema=VALID_SCHEMA), path)

    def merge(
        self, *uploads: str, versions: Mapping[str, str] | None = None, corrections: Sequence[str] = ()
    ) -> MergeReport:
        """Let exactly these uploads count; of the corrections among them, say in which order they came."""
        counting = dict.fromkeys(uploads, "first version") | dict(versions or {})
        with self.warehouse.writing() as connection:
            return merge_uploads(connection, counting, self._object_of("transformed"), corrections)

    def quarantine(self, *uploads: SetAside) -> QuarantineReport:
        """Set aside the invalid rows of exactly these uploads."""

        def stored(upload: str, table: str) -> AbstractContextManager[Path]:
            return self.lake.local_copy(f"{table}/{upload}.parquet")

        with self.warehouse.writing() as connection:
            return merge_quarantine(connection, {found.upload: found for found in uploads}, stored)

    def refresh(self, answer: str) -> bool:
        """Answer a question anew."""
        with self.warehouse.writing() as connection:
            return refresh_answer(connection, answer)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query on the warehouse gives."""
        with self.warehouse.writing() as connection:
            return connection.execute(statement).fetchall()

    def winners(self) -> dict[int, tuple[str, int]]:
        """For each alumnus the upload and row that `alumni` shows."""
        rows = self.rows("SELECT employee_id, upload, source_row FROM alumni ORDER BY employee_id")
        assert len({employee for employee, _, _ in rows}) == len(rows), "each alumnus has one row"
        return {employee: (upload, row) for employee, upload, row in rows}

    def _object_of(self, folder: str) -> Any:
        def local_copy(upload: str) -> AbstractContextManager[Path]:
            return self.lake.local_copy(f"{folder}/{upload}.parquet")

        return local_copy
