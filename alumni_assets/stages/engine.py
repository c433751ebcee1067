"""The engine: what judges and transforms uploads and makes the tables below them, the same on one machine and on Spark.

This is what the assets know of it, and the engine of one machine; Spark's is `spark/engine.py`. Which one is in use is
decided by `ALUMNI_ENGINE`. Corrections are judged on one machine in either case: they have the rows that people mended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from alumni_assets.contract import Contract
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.standing import Seen
from alumni_assets.warehouse.derivation import RowsOf, rows_by_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from alumni_assets.stages.transformation import TransformedUpload
    from alumni_assets.stages.validation import Progress, Validated


class EngineError(Exception):
    """The engine could not do its work; the message says why and what to do."""


@dataclass(frozen=True)
class Counting:
    """Which uploads' rows the tables are made from: each with the version of its rows, a hash.

    `corrections` are those among them that are corrections, in the order in which they came.
    """

    versions: Mapping[str, str]
    corrections: Sequence[str]


@dataclass(frozen=True)
class ToTransform:
    """An upload, and where it is a correction the upload that it corrects."""

    seen: Seen
    corrects: Seen | None


class Derivation(Protocol):
    """Where the rows of the tables below the approval come from."""

    def on(self, connection: "DuckDBPyConnection") -> AbstractContextManager[RowsOf]:
        """While this lasts, the SELECTs that it gives can be run on the connection."""


class Engine(Protocol):
    """What the assets ask for. The results are the same whichever engine gives them."""

    @property
    def works_ahead(self) -> bool:
        """Whether many uploads are better announced before they are asked for one by one."""

    def judge_ahead(self, uploads: Sequence[tuple[Seen, FileFormat]]) -> None:
        """Judge uploads together, so that `validate` has only to take over the result. Nothing of it is stored yet."""

    def validate(self, seen: Seen, file_format: FileFormat, progress: "Progress") -> "Validated":
        """As `stages.validation.validate_upload`."""

    def transform_ahead(self, uploads: Sequence[ToTransform]) -> None:
        """Transform uploads together, for `transform` to take over. Nothing of it is stored yet."""

    def transform(self, upload: ToTransform, approved: str, progress: "Progress") -> "TransformedUpload":
        """As `stages.transformation.transform_upload`."""

    def derive(self, counting: Callable[[], Counting]) -> Derivation:
        """Where the tables' rows come from. `counting` is asked by an engine that makes them beforehand."""


@dataclass(frozen=True)
class LocalEngine:
    """The engine of one machine. `memory_limit` bounds DuckDB's work on one upload, such as `500MB`."""

    lake: Lake
    contract: Contract
    memory_limit: str

    works_ahead = False

    def judge_ahead(self, uploads: Sequence[tuple[Seen, FileFormat]]) -> None:
        """Nothing: here it costs no more to judge them one by one."""

    def validate(self, seen: Seen, file_format: FileFormat, progress: "Progress") -> "Validated":
        from alumni_assets.stages.validation import validate_upload  # imports Arrow, like the next

        return validate_upload(self.lake, seen, file_format, self.contract, progress)

    def transform_ahead(self, uploads: Sequence[ToTransform]) -> None:
        """Nothing, as above."""

    def transform(self, upload: ToTransform, approved: str, progress: "Progress") -> "TransformedUpload":
        from alumni_assets.stages.transformation import transform_upload

        return transform_upload(
            self.lake, upload.seen, approved, self.contract, self.memory_limit, progress, corrects=upload.corrects
        )

    def derive(self, counting: Callable[[], Counting]) -> Derivation:
        return _BySql()


class _BySql:
    @contextmanager
    def on(self, connection: "DuckDBPyConnection") -> Iterator[RowsOf]:
        yield rows_by_sql
