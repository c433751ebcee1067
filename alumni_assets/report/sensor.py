"""The sensor that sends reports again which were not accepted. It releases none: that is for a person or the policy."""

from pathlib import Path

from dagster import DefaultSensorStatus, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from alumni_assets.report.configuration import ReportSettings
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource

_SECONDS = 30  # no attempt is repeated sooner


class ReportNotDeliveredError(Exception):
    """A released report was not accepted; the message says by whom, why and what to do."""


def report_deliveries_sensor(settings: ReportSettings) -> list[SensorDefinition]:
    """Sends again what is due; none where nobody gets the report."""
    if not settings.recipients:
        return []

    @sensor(
        name="report_deliveries",
        minimum_interval_seconds=_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Sends released weekly reports again that a mail server did not accept, for a day. Fails while one "
        "was refused or given up.",
    )
    def report_deliveries(context: SensorEvaluationContext, lake: LakeResource, survey: SurveyResource) -> SkipReason:
        from alumni_assets.report.keeping import Reports
        from alumni_assets.report.sending import Sender, refusals

        reports = Reports(lake.lake(Component.NOTIFIER), Path(survey.home))
        sendings = Sender(reports, settings, survey.contract().rules.time_zone).retry()
        if problem := refusals(sendings):
            raise ReportNotDeliveredError(problem)
        sent = sum(sending.sent for sending in sendings)
        waiting = sum(len(sending.having("to be sent again")) for sending in sendings)
        if sent or waiting:
            return SkipReason(f"Reports sent: {sent}. To be sent again: {waiting}.")
        return SkipReason("Nothing to send again.")

    return [report_deliveries]
