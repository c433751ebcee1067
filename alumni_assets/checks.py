"""What the asset checks of uploads find, in words and numbers for a person who has never seen this code.

Each function looks at what is stored, not at what is remembered, and gives an outcome. The assets in
`assets/` report the outcomes; `reporting.py` knows how. What is checked of tables is in `table_checks.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import AssetCheckSeverity, MetadataValue, TableRecord

from alumni_assets import layout, presentation
from alumni_assets.contract import Contract
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.stages.archive import UNVERIFIABLE
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.drift import Comparison
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.quarantine import SetAside
from alumni_assets.survey.standing import Ingested

if TYPE_CHECKING:
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema

    from alumni_assets.stages.quarantine import OpenRows
    from alumni_assets.stages.transformation import TransformedUpload
    from alumni_assets.stages.validation import Validated

COPIES_VERIFIED = "copies_verified"


@dataclass(frozen=True)
class CorrectionFiles:
    """Where the file lies in which a reviewer corrects rows, as a workbook and as CSV."""

    workbook: str
    csv: str


@dataclass(frozen=True)
class Outcome:
    """How a check ended."""

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: AssetCheckSeverity = AssetCheckSeverity.ERROR

    @property
    def blocks(self) -> bool:
        """Whether it keeps an upload from being approved: a failure that is more than a warning."""
        return not self.passed and self.severity is AssetCheckSeverity.ERROR


def readable(found: FileFormat | UnreadableUploadError) -> Outcome:
    """Whether the file can be read and its header names every required column, each once."""
    if isinstance(found, UnreadableUploadError):
        return Outcome(
            False, f"The file was rejected: {presentation.plain(found.message)}", {"reason_code": found.code}
        )
    unknown = found.header.unknown
    if not unknown:
        return Outcome(True, "The file can be read, and its header names every column that is needed.")
    names = ", ".join(presentation.in_words(title) for title in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    return Outcome(
        True,
        f"The file can be read. It has columns that are not used: {names}{more}.",
        {"unknown_columns": len(unknown)},
        AssetCheckSeverity.WARN,
    )


def rows_accounted_for(lake: Lake, upload: str, result: "Validated") -> Outcome:
    """Whether every row of the file is stored either as valid or as invalid."""
    valid = _stored_rows(lake, layout.valid_key(upload))
    invalid = _stored_rows(lake, layout.invalid_key(upload))
    numbers = {"rows": result.rows, "stored_valid": valid, "stored_invalid": invalid}
    sentence = f"{result.rows:,} rows in the file = {valid:,} stored as valid + {invalid:,} as invalid"
    if valid + invalid == result.rows:
        return Outcome(True, f"{sentence}.", numbers)
    return Outcome(False, f"{sentence} does not add up. Materialize validated_survey again.", numbers)


def valid_schema_holds(stored: Path) -> Outcome:
    """Whether the valid rows, as they are stored, have the contract's types, with every required cell filled."""
    from alumni_assets.survey.schemas import valid_schema

    return _schema_holds(stored, valid_schema())


def transformed_schema_holds(lake: Lake, upload: str, contract: Contract) -> Outcome:
    """Whether the stored transformed rows have the contract's types, vocabularies and spellings."""
    from alumni_assets.survey.schemas import transformed_schema

    with lake.local_copy(layout.transformed_key(upload)) as stored:
        return _schema_holds(stored, transformed_schema(contract))


def no_open_rows(
    ingested: Ingested, found: SetAside | None, still_wrong: int, rows: "OpenRows", files: CorrectionFiles
) -> Outcome:
    """How many rows are open: none passes, some is a warning, more than the limit keep the upload from approval.

    `found` are the upload's rows that were set aside, `still_wrong` counts those of a correction that are open
    under the upload that it corrects, `rows` says what is wrong with the open ones.
    """
    if ingested.corrects:
        return _none_came_back_wrong(ingested, found.open if found else 0, still_wrong, rows, files)
    total = ingested.rows or 0
    if found is None:
        return _no_row_is_open(f"All {total:,} rows are valid.", {})
    numbers = {
        "invalid_rows": found.rows,
        "open_rows": found.open,
        "resolved_rows": found.resolved,
        "waived_rows": found.waived,
    }
    if found.open == 0:
        return _no_row_is_open(f"No row is open. {_closed_in_words(found)}", numbers)
    share = found.open / max(total, 1)
    blocks = share > ingested.max_open_share
    closed = f" {_closed_in_words(found)}" if found.open < found.rows else ""
    summary = (
        f"{found.open:,} of {total:,} rows ({share:.1%}) wait to be corrected: "
        f"{presentation.reasons_in_words(rows.reasons)}.{closed} "
    )
    limit = (
        f"That is more than {ingested.max_open_share:.0%}, so the upload may not be approved before. "
        if blocks
        else "The valid rows may be approved without them. "
    )
    return Outcome(
        False,
        summary + limit + _WAY_OUT,
        numbers
        | {
            "open_share": round(share, 4),
            "open_since": MetadataValue.text(presentation.since(found.received_at, rows.as_of)),
        }
        | _details(rows, ingested, files),
        AssetCheckSeverity.ERROR if blocks else AssetCheckSeverity.WARN,
    )


def no_drift(compared: Comparison, least_rows: int, is_correction: bool) -> Outcome:
    """Whether an upload is like the earlier ones; a warning in what it is not."""
    shifts, earlier = compared.shifts, compared.earlier
    if is_correction:
        return _no_drift("A correction is compared with no other upload.")
    if not earlier:
        return _no_drift(f"The upload is not compared with others: that takes {least_rows:,} rows here and before.")
    if not shifts:
        return _no_drift(f"The upload is like the {earlier:,} approved before it.")
    words = "; ".join(
        f"{shift.measure}: {presentation.in_words(shift.here)}, before {shift.before}" for shift in shifts
    )
    records = [
        TableRecord({"measure": shift.measure, "here": presentation.shown(shift.here), "before": shift.before})
        for shift in shifts
    ]
    return Outcome(
        False,
        f"The upload is unlike the {earlier:,} approved before it. {words}. Look whether it is the right file, whole "
        "and of the right people; approve it if it is.",
        {"shifts": MetadataValue.table(records), "compared_with": earlier},
        AssetCheckSeverity.WARN,
    )


def drift_when_judged(ingested: Ingested) -> Outcome:
    """What is known of it later: in what an upload was unlike the earlier ones, not how much."""
    if not ingested.drifted:
        return _no_drift("As it was when the upload was judged.")
    words = ", ".join(ingested.drifted)
    return Outcome(
        False,
        f"As it was when the upload was judged: unlike those before it. {words}.",
        severity=AssetCheckSeverity.WARN,
    )


def _no_drift(sentence: str) -> Outcome:
    return Outcome(True, sentence, severity=AssetCheckSeverity.WARN)


def _none_came_back_wrong(
    ingested: Ingested, strays: int, still_wrong: int, rows: "OpenRows", files: CorrectionFiles
) -> Outcome:
    """The same of a correction: rows that came back still wrong are open under the upload that it corrects."""
    original = presentation.in_words(ingested.corrects)
    numbers = {
        "returned_rows": ingested.rows or 0,
        "mended_rows": ingested.valid or 0,
        "came_back_wrong": ingested.invalid or 0,
        "still_open": still_wrong + strays,
    }
    if not ingested.invalid:
        return _no_row_is_open(
            f"All {ingested.rows:,} rows that came back are valid. They correct {original}.", numbers
        )
    if not still_wrong + strays:
        return _no_row_is_open(
            f"{ingested.valid:,} of {ingested.rows:,} rows that came back for {original} were valid; none of the "
            "others is open any more.",
            numbers,
        )
    nameless = f" {strays:,} of them name no row of it that was set aside." if strays else ""
    return Outcome(
        False,
        f"{still_wrong + strays:,} of {ingested.rows:,} rows that came back for {original} are still wrong: "
        f"{presentation.reasons_in_words(rows.reasons)}.{nameless} {_WAY_OUT}",
        numbers | _details(rows, ingested, files),
        AssetCheckSeverity.WARN,
    )


def _no_row_is_open(sentence: str, numbers: Mapping[str, Any]) -> Outcome:
    """A warning that passed: the sign beside the check's name has the colour of the upload that was reported last."""
    return Outcome(True, sentence, numbers, AssetCheckSeverity.WARN)


_WAY_OUT = (
    "Copy the correction file, mend its marked cells, and put it into raw/ under any name; or close rows that cannot "
    "be mended with `alumni waive`."
)


def _closed_in_words(found: SetAside) -> str:
    if found.closing:
        return f"The upload is {found.closing}, so its {found.rows:,} invalid rows are closed."
    return f"Of {found.rows:,} invalid rows {found.resolved:,} are corrected and {found.waived:,} waived."


def _details(rows: "OpenRows", ingested: Ingested, files: CorrectionFiles) -> dict[str, Any]:
    return {
        "reasons": presentation.reason_counts(rows.reasons),
        "first_rows": presentation.problem_rows(rows.sample, ingested.header_record, bool(ingested.corrects)),
        "correction_file": MetadataValue.path(files.workbook),
        "correction_file_as_csv": MetadataValue.path(files.csv),
    }


def transformed_rows_accounted_for(lake: Lake, upload: str, result: "TransformedUpload") -> Outcome:
    """Whether every valid row is stored as transformed, or was dropped as an exact duplicate."""
    valid = _stored_rows(lake, layout.valid_key(upload))
    stored = _stored_rows(lake, layout.transformed_key(upload))
    sentence = f"{valid:,} valid rows = {stored:,} transformed + {result.exact_duplicates:,} exact duplicates dropped"
    numbers = {"valid": valid, "transformed": stored, "exact_duplicates": result.exact_duplicates}
    if valid == stored + result.exact_duplicates:
        return Outcome(True, f"{sentence}.", numbers)
    return Outcome(False, f"{sentence} does not add up. Materialize transformed_survey again.", numbers)


def copies_verified(copies: int, damaged: Mapping[str, str]) -> Outcome:
    """Whether so many archived copies have the sizes and checksums of their sources; `damaged` by `damaged_copies`."""
    if not damaged:
        return Outcome(True, f"{copies} archived copies have the checksums of their sources.")
    if set(damaged.values()) == {UNVERIFIABLE}:
        return Outcome(
            False,
            f"{len(damaged)} archived copies cannot be verified, such as {presentation.in_words(min(damaged))}: "
            f"{UNVERIFIABLE}. Set ALUMNI_ARCHIVE_CLASS to a class that can be read, such as STANDARD_IA or GLACIER_IR, "
            "and materialize archived_survey again.",
        )
    names = "; ".join(f"{presentation.in_words(key)}: {damage}" for key, damage in damaged.items())
    return Outcome(False, f"Archived copies are damaged: {names}. Materialize archived_survey again.")


def _stored_rows(lake: Lake, key: str) -> int:
    import pyarrow.parquet as pq

    with lake.open(key) as stream:
        return pq.ParquetFile(stream).metadata.num_rows


def _schema_holds(stored: Path, schema: "DataFrameSchema") -> Outcome:
    from alumni_assets.stages.streaming import ordered_map, stored_batches

    def found_wrong(batch: "pa.RecordBatch") -> list[str]:
        return _violations(batch, schema)

    wrong: dict[str, int] = {}
    rows = 0
    for batch, violations in ordered_map(lambda b: (b, found_wrong(b)), stored_batches(stored)):
        rows += batch.num_rows
        for violation in violations:
            wrong[violation] = wrong.get(violation, 0) + 1
    if not wrong:
        return Outcome(True, f"All {rows:,} stored rows keep to the contract.", {"rows": rows})
    names = ", ".join(sorted(wrong))
    return Outcome(
        False,
        f"The stored table does not keep to the contract: {names}. It was changed by other hands, or the contract "
        "has changed since; materialize the asset again.",
        {"rows": rows, "violations": names},
    )


def _violations(batch: "pa.RecordBatch", schema: "DataFrameSchema") -> list[str]:
    import pandas as pd
    from pandera.errors import SchemaErrors

    try:
        schema.validate(batch.to_pandas(types_mapper=pd.ArrowDtype), lazy=True)
    except SchemaErrors as errors:
        return sorted({f"{error.schema.name}: {error.reason_code.value}" for error in errors.schema_errors})
    return []
