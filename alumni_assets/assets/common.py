"""What the assets share: groups, owners, column schemas, which uploads a run is about, one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dagster import AssetExecutionContext, AssetKey, AssetSpec, Failure

from alumni_assets.contract import BY_NAME, LINEAGE
from alumni_assets.json_logs import Event, marked
from alumni_assets.machine_faults import SENTENCE, is_of_the_machine
from alumni_assets.presentation import column_schema, shown
from alumni_assets.reporting import UPLOADS, event_store_kept_open, finish_step

OWNERS = ["team:alumni-data"]
TAGS = {"alumni/domain": "survey"}
CODE_VERSION = "1"
INTAKE, SUPERVISED, TABLES, ANSWERS, PUBLICATION = (
    "1_intake",
    "2_approved",
    "3_alumni",
    "4_answers",
    "5_published",
)
# The pool of what writes the warehouse and what is published. Its limit is set where more than one machine may do so.
WAREHOUSE = "warehouse"
_PROGRESS_SECONDS = 5.0


def upload_spec(
    name: str, group: str, description: str, deps: Sequence[str], kinds: set[str], **more: Any
) -> AssetSpec:
    """The specification of an asset that is partitioned by upload."""
    return AssetSpec(
        name,
        deps=[AssetKey(dep) for dep in deps],
        description=description,
        group_name=group,
        owners=OWNERS,
        tags=TAGS,
        kinds=kinds,
        code_version=CODE_VERSION,
        partitions_def=UPLOADS,
        skippable=True,
        **more,
    )


def columns_metadata(columns: Mapping[str, str], as_text: bool = False) -> dict[str, Any]:
    """Dagster's column schema of a stored table (names and types), with the contract's descriptions."""
    described = {
        "other_columns": "Cells of columns that the contract does not know, as JSON.",
        "problems": "Every reason for which the row is invalid.",
        "corrects": "Of a row of a correction: the upload that it corrects.",
        "corrects_row": "The source_row there; null if it names no row that was set aside.",
    } | LINEAGE
    return {
        "dagster/column_schema": column_schema(
            [
                (
                    name,
                    kind,
                    _as_it_came(name)
                    if as_text and name in BY_NAME
                    else described.get(name) or BY_NAME[name].description,
                )
                for name, kind in columns.items()
            ]
        )
    }


def uploads_of_run(context: AssetExecutionContext, configured: Sequence[str]) -> list[str]:
    """The uploads that a run is about: those in its configuration, or its own partitions."""
    if configured:
        return list(configured)
    return list(context.partition_keys) if context.has_partition_key or context.has_partition_key_range else []


def one_by_one(
    context: AssetExecutionContext,
    subjects: Sequence[str],
    work: Callable[[str], Iterator[Any]],
    participle: str,
    after_all: Callable[[], Iterator[Any]] | None = None,
) -> Iterator[Any]:
    """The events of working on one subject after the other, of what comes `after_all`, and of the end of the step.

    What breaks with one neither fails nor holds up the others: the step fails at its end, after all of them.
    `participle` says what is done to them, such as "archived".
    """
    broken: dict[str, str] = {}
    with event_store_kept_open(context.instance, context.run.run_id):
        for subject in subjects:
            try:
                yield from work(subject)
            except Exception as error:
                broken[subject] = _safe(error)
                context.log.error(
                    f"{shown(subject)} could not be {participle}: {broken[subject]}",
                    extra=marked(Event.UPLOAD_FAILED, upload=shown(subject)),
                )
        if after_all:
            yield from after_all()
        yield from finish_step(context)
    if broken:
        first, reason = next(iter(broken.items()))
        raise Failure(
            f"{len(broken)} of {len(subjects)} uploads could not be {participle}; the others were. The step's log "
            f"says why. First: {shown(first)}: {reason}",
            allow_retries=False,
        )


def progress_log(context: AssetExecutionContext, upload: str) -> Callable[[int, float], None]:
    """A function that logs rows so far and their rate, every few seconds."""
    last = 0.0

    def log(rows: int, seconds: float) -> None:
        nonlocal last
        if seconds - last >= _PROGRESS_SECONDS:
            last = seconds
            context.log.info(f"{upload}: {rows:,} rows so far, {rows / seconds:,.0f} rows per second")

    return log


def _safe(error: Exception) -> str:
    """An error for the log: our own messages hold no cell values, those of libraries may."""
    if type(error).__module__.startswith("alumni_assets"):
        return str(error)
    return SENTENCE if is_of_the_machine(error) else type(error).__name__


def _as_it_came(name: str) -> str:
    return f"{BY_NAME[name].header}, as it came."
