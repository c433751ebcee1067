"""When the tables below the uploads are renewed: automation conditions and the sensor that evaluates them.

`transformed_survey` carries none of these: only a person starts it. What the assets do lives with the assets.

Every condition asks the same two questions. Is there news that no run was requested for yet? The answer is kept
until a run is requested, so news that comes while a run is under way is not lost. And is everything at rest, the
assets above included? Then one run takes all the news at once. A failed run is not repeated by itself: the next
news, or a person, starts another.
"""

from dagster import (
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    DefaultSensorStatus,
)

RENEWS_BELOW_TAGS = {"alumni/renews_below": "true"}
"""Tags for a run that itself makes everything below the uploads it takes: what it reports is no news here.

(Dagster's own `executed_with_root_target` knows only the newest materialization of an asset, not one for each
partition, so it does not serve for uploads.)
"""

_AC = AutomationCondition

# An update counts in one tick alone. `newly_updated` would take in what a run reports while the tick evaluates, and
# only the next one looks at the tags of that. What was reported outside of any run is no news: nothing here does so.
_FRESH = (
    _AC.any_new_update_has_run_tags()
    & ~_AC.executed_with_root_target()
    & ~_AC.all_new_updates_have_run_tags(tag_values=RENEWS_BELOW_TAGS)
)
# `since` lets its reset win when both come in one tick, so news is the reset: what comes just after a request is kept.
_ASKED_FOR = (_AC.newly_requested() | _AC.initial_evaluation()).since(_AC.any_deps_match(_FRESH))
_NEWS = ~_ASKED_FOR
_RENEWED_NOW = _AC.any_deps_match(_AC.will_be_requested())
_NEVER_MADE = _AC.missing() & ~_AC.execution_failed() & _AC.any_deps_match(~_AC.missing())
_AT_REST = ~_AC.any_deps_match(_AC.run_in_progress()) & ~_AC.in_progress()

FOLLOWS_UPLOADS = ((_NEWS | _NEVER_MADE) & _AT_REST).with_label("news from any upload")
"""For a table below many uploads. Uploads that are missing above (waiting, rejected) do not hold it up."""

FOLLOWS_TABLES = ((_NEWS | _RENEWED_NOW | _NEVER_MADE) & ~_AC.any_deps_missing() & _AT_REST).with_label(
    "news from the tables above"
)
"""For a table below other tables: renewed in the same run as they are."""

# A tick looks at all uploads for each condition on an asset that is partitioned by them, so there are few.
_RAW, _REPORTED_WITH_RAW = AssetSelection.assets("raw_survey"), AssetSelection.assets("invalid_survey")
FOLLOWS_EVERYTHING = (
    ((_NEWS | _RENEWED_NOW.ignore(_RAW) | _NEVER_MADE.ignore(_RAW)) & _AT_REST)
    .ignore(_REPORTED_WITH_RAW)
    .with_label("news from tables or uploads")
)
"""For the publication, below tables and uploads alike: due even while some of them are missing."""


def automation_sensor(minimum_interval_seconds: int = 5) -> AutomationConditionSensorDefinition:
    """The sensor that evaluates the conditions of every asset and requests the runs; on from the start."""
    return AutomationConditionSensorDefinition(
        "keep_tables_current",
        target=AssetSelection.all(),
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=minimum_interval_seconds,
        description="Renews everything that follows an approved or a newly ingested upload.",
    )
