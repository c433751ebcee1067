"""When the assets below the approval are renewed: automation conditions and the sensor that evaluates them.

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

# What a run reports while a tick evaluates is `newly_updated` to it, but not yet among the updates whose tags it looks
# at; it is left to the next tick.
_IN_THIS_TICK = _AC.newly_updated() & _AC.any_new_update_has_run_tags()
_FRESH = (
    _IN_THIS_TICK & ~_AC.executed_with_root_target() & ~_AC.all_new_updates_have_run_tags(tag_values=RENEWS_BELOW_TAGS)
)
_FRESH_ABOVE = _AC.any_deps_match(_FRESH)
# `since` lets its reset win when both come in one tick: what came just after a request would be lost.
_NEWS = _FRESH_ABOVE.since(~_FRESH_ABOVE & _AC.newly_requested())
_RENEWED_NOW = _AC.any_deps_match(_AC.will_be_requested())
_NEVER_MADE = _AC.missing() & ~_AC.execution_failed() & _AC.any_deps_match(~_AC.missing())
_AT_REST = ~_AC.any_deps_match(_AC.run_in_progress()) & ~_AC.in_progress()

FOLLOWS_UPLOADS = ((_NEWS | _NEVER_MADE) & _AT_REST).with_label("news from any upload")
"""For a table below many uploads. Uploads that are missing above (waiting, rejected) do not hold it up."""

FOLLOWS_TABLES = ((_NEWS | _RENEWED_NOW | _NEVER_MADE) & ~_AC.any_deps_missing() & _AT_REST).with_label(
    "news from the tables above"
)
"""For a table below other tables: renewed in the same run as they are."""

FOLLOWS_EVERYTHING = ((_NEWS | _RENEWED_NOW | _NEVER_MADE) & _AT_REST).with_label("news from tables or uploads")
"""For the publication, below tables and uploads alike: due even while some of them are missing."""

FOLLOWS_ITS_UPLOAD = (_NEWS & _AT_REST).with_label("news from its upload")
"""For an asset that is partitioned by upload itself, and follows the asset above upload by upload."""


def automation_sensor(minimum_interval_seconds: int = 5) -> AutomationConditionSensorDefinition:
    """The sensor that evaluates the conditions of every asset and requests the runs; on from the start."""
    return AutomationConditionSensorDefinition(
        "keep_tables_current",
        target=AssetSelection.all(),
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=minimum_interval_seconds,
        description="Renews everything that follows an approved or a newly ingested upload.",
    )
