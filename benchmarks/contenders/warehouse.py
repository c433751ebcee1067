"""The tables below the uploads: merged, checked, answered, published and shown on a page, each step timed.

The transformed uploads are in a lake of their own, which is only read; the warehouse (`home/`) and the lake that
is published to (`lake/`) are in the folder of the run. What the warehouse has already is not merged again, so the
same program merges one upload or rebuilds everything.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from alumni_assets import checks, table_checks
from alumni_assets.contract import default_contract
from alumni_assets.dashboard.keeping import keep_page
from alumni_assets.layout import transformed_key
from alumni_assets.publishing import publish
from alumni_assets.queries import ANSWERS, SUPPLEMENTS
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.resources.warehouse import WarehouseResource
from alumni_assets.warehouse.answers import refresh_answer, refresh_verdicts
from alumni_assets.warehouse.history import refresh_history
from alumni_assets.warehouse.merging import merge_uploads
from alumni_assets.warehouse.tables import count_rows

_MEMORY_LIMIT = "500MB"  # what ALUMNI_WAREHOUSE_MEMORY is by default


class Tables:
    """The warehouse in a folder, and the transformed uploads of a lake."""

    def __init__(self, uploads: Path, folder: Path) -> None:
        (folder / "lake").mkdir(parents=True, exist_ok=True)
        self._uploads = FolderLake(uploads)
        self._lake = FolderLake(folder / "lake")
        self._warehouse = WarehouseResource(home=str(folder / "home"), memory_limit=_MEMORY_LIMIT)
        self._rules = default_contract().rules
        self._rows = dict(self._transformed_rows())
        self.steps: dict[str, Callable[[], object]] = {
            "merge": self._merge,
            "its checks": self._check_alumni,
            "history": self._refresh_history,
            "its check": self._check_history,
            "answers": self._answer,
            "publish": lambda: publish(self._warehouse, self._lake, datetime.now(UTC)),
            "page": lambda: keep_page(self._lake, self._rules, uploads_waiting=0),
        }

    def alumni(self) -> int:
        """How many there are in the warehouse."""
        with self._warehouse.writing() as connection:
            return count_rows(connection, "alumni")

    def _merge(self) -> None:
        versions = dict.fromkeys(self._rows, "as generated")
        with self._warehouse.writing() as connection:
            merge_uploads(connection, versions, self._transformed)

    def _check_alumni(self) -> None:
        with self._warehouse.writing() as connection:
            _require(*table_checks.of_alumni(connection, self._rows).values())

    def _transformed_rows(self) -> Iterator[tuple[str, int]]:
        for entry in self._uploads.list("transformed/"):
            upload = "@".join(Path(entry.key).stem.rsplit("-", 1))
            with self._transformed(upload) as path:
                yield upload, pq.read_metadata(path).num_rows

    def _transformed(self, upload: str) -> AbstractContextManager[Path]:
        return self._uploads.local_copy(transformed_key(upload))

    def _refresh_history(self) -> None:
        with self._warehouse.writing() as connection:
            refresh_history(connection, self._rules.time_zone)

    def _check_history(self) -> None:
        with self._warehouse.writing() as connection:
            _require(table_checks.last_is_current(connection))

    def _answer(self) -> None:
        """Each in a transaction of its own, as their assets do it."""
        for name in (*ANSWERS, *SUPPLEMENTS):
            with self._warehouse.writing() as connection:
                if name == "answer_verdicts":
                    refresh_verdicts(connection, self._rules.answers.compare_from)
                else:
                    refresh_answer(connection, name)
                if name in ANSWERS:
                    _require(table_checks.reconciles(connection, name))


def _require(*outcomes: checks.Outcome) -> None:
    if failed := [outcome.description for outcome in outcomes if not outcome.passed]:
        raise AssertionError(" ".join(failed))


def main(uploads: str, steps: str, folder: str) -> None:
    """Make the steps, whose names are parted by commas, in their order."""
    tables, seconds = Tables(Path(uploads), Path(folder)), {}
    for step in steps.split(","):
        started = time.monotonic()
        tables.steps[step]()
        seconds[step] = round(time.monotonic() - started, 6)
    sys.stdout.write(json.dumps({"rows_out": tables.alumni(), "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
