"""Dagster's side of Spark: asks for work on many uploads at once, and takes over what was made.

A job takes seconds to start, so a step announces its uploads and one job does them all. What it makes lies in the
lake's folder `spark/` until the step has come to that upload and stores it as the engine of one machine does.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow.parquet as pq

from alumni_assets import layout
from alumni_assets.contract import Contract
from alumni_assets.queries import DERIVED_QUERIES, TABLE_OF_QUERY, query
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.spark.parts import delete_parts
from alumni_assets.spark.request import Derived, Deriving, Judged, Judging, Outcome, Request, Transformed, Transforming
from alumni_assets.spark.transformation import transformed_key
from alumni_assets.spark.validation import judged_keys
from alumni_assets.stages.approval import RowsChangedError
from alumni_assets.stages.engine import Counting, Derivation, EngineError, ToTransform
from alumni_assets.stages.transformation import TransformedUpload, rows_not_approved
from alumni_assets.stages.validation import Progress, Validated, judged_tables, upload_day
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.standing import Seen
from alumni_assets.warehouse.derivation import RowsOf
from alumni_assets.warehouse.parquet import one_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Done = TypeVar("Done", Judged, Transformed)
# Runs a job, and returns what became of everything that it was asked. Raises EngineError.
RunJob = Callable[[Request], Sequence[Outcome]]
_SHOWN = 10
_TABLES_KEPT = timedelta(hours=1)  # a run that began before others were made may still read them
_PARTS_KEPT = timedelta(days=1)
_NO_ANSWER = (
    "The Spark job ended without an answer. Its output is among the run's compute logs, of Glue's in CloudWatch."
)


@dataclass
class SparkEngine:
    """Spark as the engine of one step, whose name among all steps is `step`.

    `location` is the lake's, for the job to open; `spark` configures the job's session. `close` it at the end.
    """

    lake: Lake
    location: str
    contract: Contract
    run_job: RunJob
    step: str
    spark: dict[str, str]
    _judged: dict[str, tuple[Judging, Judged]] = field(default_factory=dict)
    _transformed: dict[str, tuple[Transforming, Transformed]] = field(default_factory=dict)
    _asked: int = 0

    works_ahead = True

    def judge_ahead(self, uploads: Sequence[tuple[Seen, FileFormat]]) -> None:
        wanted = tuple(
            Judging(seen.upload, upload_day(seen, self.contract), file_format, self._next_stem())
            for seen, file_format in uploads
        )
        found = self._outcomes(Judged, [asked.upload for asked in wanted], judging=wanted)
        self._judged |= {asked.upload: (asked, found[asked.upload]) for asked in wanted}

    def validate(self, seen: Seen, file_format: FileFormat, progress: Progress) -> Validated:
        if seen.upload not in self._judged:
            self.judge_ahead([(seen, file_format)])
        asked, judged = self._judged.pop(seen.upload)
        if judged.unreadable is not None:
            raise UnreadableUploadError(*judged.unreadable)
        _require_done(judged)
        for source, target in zip(judged_keys(asked.stem), judged_tables(seen.upload), strict=True):
            self._take_over(source, target)
        progress(judged.rows, judged.seconds)
        return Validated(
            rows=judged.rows,
            valid=judged.valid,
            invalid=judged.invalid,
            seconds=judged.seconds,
            content=judged.content,
            invalid_content=judged.invalid_content,
            reasons=Counter({(header, code): count for header, code, count in judged.reasons}),
            preview=self._first_rows(layout.valid_key(seen.upload)),
            sample=self._first_rows(layout.invalid_key(seen.upload)),
        )

    def transform_ahead(self, uploads: Sequence[ToTransform]) -> None:
        wanted = tuple(
            Transforming(
                upload.seen.upload,
                (upload.corrects or upload.seen).received_at,
                upload.corrects is not None,
                self._next_stem(),
            )
            for upload in uploads
        )
        found = self._outcomes(Transformed, [asked.upload for asked in wanted], transforming=wanted)
        self._transformed |= {asked.upload: (asked, found[asked.upload]) for asked in wanted}

    def transform(self, upload: ToTransform, approved: str, progress: Progress) -> TransformedUpload:
        name = upload.seen.upload
        if name not in self._transformed:
            self.transform_ahead([upload])
        asked, made = self._transformed.pop(name)
        if made.refusal:
            raise RowsChangedError(made.refusal)
        _require_done(made)
        if made.source != approved:
            raise rows_not_approved(name)
        self._take_over(transformed_key(asked.stem), layout.transformed_key(name))
        progress(made.rows, made.seconds)
        return TransformedUpload(
            rows=made.rows,
            exact_duplicates=made.exact_duplicates,
            seconds=made.seconds,
            source=made.source,
            content=made.content,
            preview=self._first_rows(layout.transformed_key(name)),
        )

    def derive(self, counting: Callable[[], Counting]) -> Derivation:
        """The tables as Spark made them from those uploads: once, for all assets that ask for them."""
        wanted = counting()
        version = _version(wanted, self.contract.rules.time_zone)
        key = layout.derived_key(version)
        if self.lake.stat(key) is None:
            files = self._made(Deriving(dict(wanted.versions), tuple(wanted.corrections), f"{key}-"))
            self.lake.put_bytes(key, json.dumps(files).encode())
            self._delete_old(layout.DERIVED, _TABLES_KEPT, but=key)
        return _MadeBySpark(self.lake, json.loads(self.lake.read_bytes(key)))

    def close(self) -> None:
        """Delete what this step left in the lake's folder, and what steps did that were killed."""
        delete_parts(self.lake, layout.SPARK, layout.spark_stem(self.step))
        self._delete_old(layout.SPARK_STEPS, _PARTS_KEPT)

    def _next_stem(self) -> str:
        self._asked += 1
        return f"{layout.spark_stem(self.step)}{self._asked:06d}-"

    def _request(self, **work: Any) -> Request:
        return Request(self.location, self.contract.rules, self.spark, **work)

    def _outcomes(self, kind: type[Done], uploads: Sequence[str], **work: Any) -> dict[str, Done]:
        """What became of each of these uploads; a job that broke has broken them all."""
        if not uploads:
            return {}
        try:
            answers, failure = self.run_job(self._request(**work)), _NO_ANSWER
        except EngineError as error:
            answers, failure = (), str(error)
        found = {answer.upload: answer for answer in answers if isinstance(answer, kind)}
        return {upload: found.get(upload) or kind(upload, failure=failure) for upload in uploads}

    def _made(self, wanted: Deriving) -> Mapping[str, Sequence[str]]:
        for outcome in self.run_job(self._request(deriving=wanted)):
            if isinstance(outcome, Derived):
                _require_done(outcome)
                return outcome.files
        raise EngineError(_NO_ANSWER)

    def _take_over(self, source: str, target: str) -> None:
        self.lake.copy(source, target)
        self.lake.delete(source)

    def _first_rows(self, key: str) -> list[dict[str, object]]:
        with self.lake.open(key) as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            first = next(file.iter_batches(_SHOWN), None)
        return first.to_pylist() if first is not None else []

    def _delete_old(self, folder: str, age: timedelta, but: str = "") -> None:
        """Delete what has lain in a folder for longer than that, but what begins with a key."""
        until = datetime.now(UTC) - age
        for entry in list(self.lake.list(folder)):
            if entry.modified < until and not (but and entry.key.startswith(but)):
                self.lake.delete(entry.key)


@dataclass(frozen=True)
class _MadeBySpark:
    """The tables' rows as Parquet files in the lake: for each query the keys, in order."""

    lake: Lake
    files: Mapping[str, Sequence[str]]

    @contextmanager
    def on(self, connection: "DuckDBPyConnection") -> Iterator[RowsOf]:
        with ExitStack() as borrowed:

            def rows_of(name: str, among: str | None = None) -> str:
                paths = [one_file(borrowed.enter_context(self.lake.local_copy(key))) for key in self.files[name]]
                if not paths:
                    return f"SELECT * FROM {TABLE_OF_QUERY.get(name, name)} WHERE false"
                view = f"{name}_made_by_spark"
                connection.register(view, connection.read_parquet(paths, hive_partitioning=False))
                borrowed.callback(connection.unregister, view)
                chosen = f" WHERE employee_id IN (SELECT employee_id FROM {among})" if among else ""
                return f"SELECT * FROM {view}{chosen}"

            yield rows_of


def _version(counting: Counting, time_zone: str) -> str:
    """16 hex digits that are the same for the same rows and queries."""
    queries = [query(path) for path in DERIVED_QUERIES]
    text = json.dumps([sorted(counting.versions.items()), list(counting.corrections), time_zone, queries])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_done(outcome: Outcome) -> None:
    if outcome.failure:
        raise EngineError(outcome.failure)
