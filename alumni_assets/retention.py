"""Retention in Dagster: the job that deletes what is old and no longer needed. Its schedule is in `schedules.py`.

What may go is decided in `retention_plan.py`, and deleted in `stages/expiring.py`. It is a job of one op and no asset:
nothing is made.
"""

from dagster import OpExecutionContext, job, op

from alumni_assets.jobs import NEVER_RETRIED_TAGS
from alumni_assets.resources.lake import LakeResource
from alumni_assets.resources.roles import Component
from alumni_assets.resources.survey import SurveyResource
from alumni_assets.stages.expiring import expire
from alumni_assets.stages.intake import utc_now


@op(
    name="expire",
    description="Deletes what is older than `retention` in the survey's configuration says, and no longer needed.",
)
def expire_due_objects(context: OpExecutionContext, lake: LakeResource, survey: SurveyResource) -> dict[str, int]:
    """Delete what is due; the output's metadata has counts only, for the name of a file may name a person."""
    objects = lake.lake(Component.RETENTION)
    rules = survey.contract().rules.retention
    counts = expire(objects, survey.register_of(objects), rules, utc_now()).counts()
    context.add_output_metadata(counts)
    if counts["unverified"]:
        context.log.warning(
            f"{counts['unverified']:,} objects stay: the archived copies that would be left of them cannot be "
            "verified. The check copies_verified of archived_survey says why."
        )
    return counts


@job(
    name="expire_old_objects",
    tags=NEVER_RETRIED_TAGS,
    description="Deletes what is old and no longer needed. Started by its schedule, or by `alumni expire`.",
)
def EXPIRE() -> None:  # noqa: N802  a job, named as those in jobs.py
    """The job."""
    expire_due_objects()
