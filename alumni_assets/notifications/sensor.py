"""The sensor that tells people what happened. What it tells and how is in the other modules of this package."""

import json
from datetime import datetime, timedelta

from dagster import (
    DefaultSensorStatus,
    ResourceParam,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from alumni_assets.notifications.configuration import NotifierSettings
from alumni_assets.notifications.delivery import Deliveries, sentence
from alumni_assets.notifications.happenings import last_change
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.notifier import NotifierResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages.intake import utc_now

_AT_LEAST_EVERY = timedelta(minutes=5)


class NotDeliveredError(Exception):
    """Messages were not accepted, or were given up; the message says which, why and what to do."""


def notifications_sensor(interval: int, settings: NotifierSettings) -> list[SensorDefinition]:
    """Tells people what happened, every `interval` seconds; none where all channels are off."""
    if not settings.channels:
        return []

    @sensor(
        name="notifications",
        minimum_interval_seconds=interval,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells people what happened, by the channels of ALUMNI_NOTIFY. Fails while a message is refused "
        "or was given up: `alumni notify` tries all of them again.",
    )
    def notifications(
        context: SensorEvaluationContext,
        lake: LakeResource,
        survey: SurveyResource,
        notifier: ResourceParam[NotifierResource],
    ) -> SkipReason:
        teller = notifier.teller(lake.lake(Component.NOTIFIER), survey, context.instance)
        now, change = utc_now(), last_change(context.instance)
        if _is_quiet(context.cursor, change, now) and teller.is_lake_readable():
            return SkipReason(_summary(Deliveries()))
        result = teller.tell(notifier.channels(context.log))
        context.update_cursor(_cursor(result, change, now))
        if result.failures or result.given_up:
            raise NotDeliveredError(sentence(result))
        return SkipReason(_summary(result))

    return [notifications]


def _summary(result: Deliveries) -> str:
    if result.outage:
        return f"The lake cannot be used. {result.outage}"
    if result.sent or result.pending:
        return f"Messages sent: {result.sent}. To be sent again: {result.pending}."
    return "Nothing new to tell."


def _cursor(result: Deliveries, change: str, now: datetime) -> str:
    """What `_is_quiet` goes by; while the lake cannot be used, every tick has to look."""
    retry_at = now if result.outage else result.retry_at
    return json.dumps(
        {"change": change, "looked_at": now.isoformat(), "retry_at": retry_at.isoformat() if retry_at else None}
    )


def _is_quiet(cursor: str | None, change: str, now: datetime) -> bool:
    """Whether a look can wait: no run has changed since the last one, that is not long ago, and nothing is due."""
    if cursor is None:
        return False
    last = json.loads(cursor)
    is_due = last["retry_at"] is not None and datetime.fromisoformat(last["retry_at"]) <= now
    return last["change"] == change and now - datetime.fromisoformat(last["looked_at"]) < _AT_LEAST_EVERY and not is_due
