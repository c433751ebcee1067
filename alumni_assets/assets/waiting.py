"""Which uploads wait for approval, at a glance: the check `nothing_waits` of transformed_survey.

It has one result for the whole asset, with a table of what waits. The steps that change what waits report it at
their end; `reporting.py` says why they do not yield it.
"""

from collections.abc import Sequence
from typing import Any

from dagster import AssetCheckKey, AssetCheckSpec, AssetKey, DagsterInstance, MetadataValue, TableRecord

from alumni_assets import checks, presentation, reporting
from alumni_assets.register import Register
from alumni_assets.stages import approval
from alumni_assets.stages.intake import utc_now
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Facts, standings

TRANSFORMED = AssetKey("transformed_survey")
NOTHING_WAITS = AssetCheckKey(TRANSFORMED, "nothing_waits")
_MOST_SHOWN = 100


def waiting_check() -> AssetCheckSpec:
    """The specification of the check."""
    return AssetCheckSpec(
        NOTHING_WAITS.name,
        asset=TRANSFORMED,
        description="No upload waits for approval (a warning while some do, with a table of them).",
    )


def report_waiting(instance: DagsterInstance, register: Register) -> None:
    """Report which uploads wait for approval now."""
    outcome = waiting_outcome(register.facts())
    reporting.report_whole_check(
        instance, NOTHING_WAITS, outcome.passed, outcome.description, outcome.metadata, outcome.severity
    )


def waiting_outcome(facts: Facts) -> checks.Outcome:
    """Whether uploads wait for approval, and which: the first hundred, the first seen first."""
    stands = standings(facts)
    quarantine = Quarantine(facts, stands)
    waiting = [upload for upload in approval.waiting(facts) if stands[upload].waits]
    if not waiting:
        return checks.Outcome(True, "No upload waits for approval.", {"waiting": 0})
    return checks.Outcome(
        False,
        _in_words(facts, quarantine, waiting),
        {
            "waiting": MetadataValue.int(len(waiting)),
            "uploads": MetadataValue.table(
                [TableRecord(_line(facts, quarantine, upload)) for upload in waiting[:_MOST_SHOWN]]
            ),
        },
        checks.AssetCheckSeverity.WARN,
    )


def _in_words(facts: Facts, quarantine: Quarantine, waiting: Sequence[str]) -> str:
    blocked = sum(bool(quarantine.blocking_checks(upload)) for upload in waiting)
    rows = sum(facts.ingested[upload].valid or 0 for upload in waiting)
    uploads, wait = ("1 upload", "waits") if len(waiting) == 1 else (f"{len(waiting):,} uploads", "wait")
    override = f"; {blocked:,} of them may only be approved with a reason" if blocked else ""
    listed = f" The first {_MOST_SHOWN} are listed." if len(waiting) > _MOST_SHOWN else ""
    return (
        f"{uploads} with {rows:,} valid rows {wait} for approval{override}. "
        f"To approve, click Materialize… above, choose uploads, and launch.{listed}"
    )


def _line(facts: Facts, quarantine: Quarantine, upload: str) -> dict[str, Any]:
    ingested, found = facts.ingested[upload], quarantine.of(upload)
    blocking = quarantine.blocking_checks(upload)
    return {
        "upload": presentation.shown(upload),
        "days": f"{(utc_now() - facts.seen[upload].received_at).days:,}",
        "valid rows": f"{ingested.valid or 0:,}",
        "invalid rows": f"{ingested.invalid or 0:,}",
        "open rows": f"{found.open if found else 0:,}",
        "may be approved": f"no: failed {', '.join(blocking)}" if blocking else "yes",
        "corrects": presentation.shown(ingested.corrects),
    }
