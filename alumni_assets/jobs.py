"""The jobs that sensors and the `alumni` command run, and their run configurations."""

from collections.abc import Sequence
from typing import Any

from dagster import AssetKey, AssetSelection, DagsterRun, define_asset_job
from dagster._core.storage.tags import MAX_RETRIES_TAG, PARTITION_NAME_TAG

from alumni_assets import layout
from alumni_assets.automation import RENEWS_BELOW_TAGS
from alumni_assets.queries import ANSWERS, SUPPLEMENTS

_TABLE_NAMES = ("deduplicated_survey", "alumni_history", *ANSWERS, *SUPPLEMENTS, "published_survey")
# The views in Athena, where there are any, are chosen by their kind.
_TABLES = AssetSelection.assets(*_TABLE_NAMES, "alumni_dashboard") | AssetSelection.kind("athena")
TRANSFORMED, _ARCHIVED = AssetKey("transformed_survey"), AssetKey("archived_survey")

NEVER_RETRIED_TAGS = {MAX_RETRIES_TAG: "0"}
"""Tags for a run that Dagster is not to repeat by itself, even where the instance retries runs."""

BLAMELESS_TAGS = {"alumni/blameless": "true"}
"""Tags of a run in which taking in an upload failed of the machine or a setting, and of nothing in the upload."""

# The sensor counts attempts and tries alone what was begun before; a retry would take it all together again, beside it.
TAKE_IN = define_asset_job(
    "take_in_uploads",
    AssetSelection.assets("raw_survey", "validated_survey", "invalid_survey"),
    tags=NEVER_RETRIED_TAGS,
    description="Takes in uploads: pins and judges them. Started by sensors and by `alumni run`.",
)
APPROVE = define_asset_job(
    "approve_uploads",
    AssetSelection.assets("transformed_survey", "archived_survey") | _TABLES,
    tags=RENEWS_BELOW_TAGS,
    description="Approves uploads and renews everything below. Started by `alumni run` and by the policy.",
)
ARCHIVE = define_asset_job(
    "archive_uploads",
    AssetSelection.assets("archived_survey"),
    description="Archives approved uploads that are not archived yet. Started by a sensor and by `alumni run`.",
)
RENEW = define_asset_job(
    "renew_tables",
    _TABLES,
    tags=RENEWS_BELOW_TAGS,
    description="Brings all tables in line with the register. Started by `alumni` commands and, after a loss, sensors.",
)
EXPORT_SHEET = define_asset_job(
    "export_sheet_answers",
    AssetSelection.assets("sheet_answers"),
    description="Writes the new answers in the survey's Google Sheet to raw/. Started by its schedule.",
)

PREPARE_REPORT = define_asset_job(
    "prepare_report",
    AssetSelection.assets("weekly_report"),
    description="Prepares this week's report, and sends nothing. Started by its schedule, or by `alumni report`.",
)
SEND_REPORT = define_asset_job(
    "send_report",
    AssetSelection.assets("mailed_report"),
    description="Sends the prepared report to those who have not got it. Started by `alumni report --send`.",
)
PREPARE_AND_SEND_REPORT = define_asset_job(
    "prepare_and_send_report",
    AssetSelection.assets("weekly_report", "mailed_report"),
    description="Prepares this week's report and sends it. Started by its schedule where report_approval is auto.",
)


def take_in_config(keys: Sequence[str], uploads: Sequence[str] = (), judge_again: bool = False) -> dict[str, Any]:
    """Run configuration of `take_in_uploads`: keys under raw/, and uploads to enter again."""
    config = {
        "keys": [layout.quoted(key) for key in keys],
        "uploads": list(uploads),
        "judge_again": judge_again,
    }
    return {"ops": {"take_in": {"config": config}}}


def report_config(week: str, is_sent: bool) -> dict[str, Any]:
    """Run configuration of `prepare_report`, and with `is_sent` of `prepare_and_send_report`, for a week."""
    assets = ("weekly_report", "mailed_report") if is_sent else ("weekly_report",)
    return {"ops": {name: {"config": {"week": week}} for name in assets}}


def makes_tables(run: DagsterRun) -> bool:
    """Whether a run makes tables below the uploads: as one of these jobs, or of assets that were chosen."""
    if run.job_name in {APPROVE.name, RENEW.name}:
        return True
    names = {key.to_user_string() for key in run.asset_selection or ()}
    return bool(names & set(_TABLE_NAMES))


def transforms_or_archives(run: DagsterRun) -> bool:
    """Whether a run approves or archives uploads: as one of these jobs, or of assets that were chosen."""
    is_chosen = not {TRANSFORMED, _ARCHIVED}.isdisjoint(run.asset_selection or ())
    return is_chosen or run.job_name in {APPROVE.name, ARCHIVE.name}


def keys_of(run_config: Any) -> list[str]:
    """The keys under raw/ that a run of `take_in_uploads` is about."""
    keys = run_config.get("ops", {}).get("take_in", {}).get("config", {}).get("keys", [])
    return [layout.unquoted(key) for key in keys]


def approve_config(uploads: Sequence[str], approved_by: str, note: str) -> dict[str, Any]:
    """Run configuration of `approve_uploads`."""
    approval = {"config": {"uploads": list(uploads), "approved_by": approved_by, "note": note}}
    return {"ops": {"approve_and_transform": approval, **archive_config(uploads)["ops"]}}


def archive_config(uploads: Sequence[str]) -> dict[str, Any]:
    """Run configuration of `archive_uploads`."""
    return {"ops": {"archive": {"config": {"uploads": list(uploads)}}}}


def approve_tags(uploads: Sequence[str]) -> dict[str, str]:
    """Tags of a run of `approve_uploads` or `archive_uploads`.

    The run takes its uploads from its configuration, but Dagster looks up the data versions of partitioned
    assets above by the run's own partition and fails without one: any of the uploads will do.
    """
    return {PARTITION_NAME_TAG: uploads[0]}
