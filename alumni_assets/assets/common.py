"""What the assets share: groups, owners, column schemas, which uploads a run is about, progress."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from dagster import AssetExecutionContext, AssetKey, AssetSpec

from alumni_assets.contract import BY_NAME, LINEAGE
from alumni_assets.presentation import column_schema
from alumni_assets.reporting import UPLOADS

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


def arrow_columns(schema: pa.Schema, as_text: bool = False) -> dict[str, Any]:
    """Dagster's column schema of a stored table, with the contract's descriptions."""
    described = {
        "other_columns": "Cells of columns that the contract does not know, as JSON.",
        "problems": "Every reason for which the row is invalid.",
    } | LINEAGE
    return {
        "dagster/column_schema": column_schema(
            [
                (
                    field.name,
                    "list of problems" if field.name == "problems" else str(field.type),
                    _as_it_came(field.name)
                    if as_text and field.name in BY_NAME
                    else described.get(field.name) or BY_NAME[field.name].description,
                )
                for field in schema
            ]
        )
    }


def uploads_of_run(context: AssetExecutionContext, configured: Sequence[str]) -> list[str]:
    """The uploads that a run is about: those in its configuration, or its own partitions."""
    if configured:
        return list(configured)
    return list(context.partition_keys) if context.has_partition_key or context.has_partition_key_range else []


def progress_log(context: AssetExecutionContext, upload: str) -> Callable[[int, float], None]:
    """A function that logs rows so far and their rate, every few seconds."""
    last = 0.0

    def log(rows: int, seconds: float) -> None:
        nonlocal last
        if seconds - last >= _PROGRESS_SECONDS:
            last = seconds
            context.log.info(f"{upload}: {rows:,} rows so far, {rows / seconds:,.0f} rows per second")

    return log


def _as_it_came(name: str) -> str:
    return f"{BY_NAME[name].header}, as it came."
