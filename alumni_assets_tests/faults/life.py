"""What people do with a pipeline in the tests of faults, and how it stands when nothing disturbs them."""

from dagster import ExecuteInProcessResult
from dagster._core.execution.plan.objects import StepFailureData

from alumni_assets import layout
from alumni_assets.pending_work import find_unarchived
from alumni_assets.stages import approval
from alumni_assets.stages.quarantine import waive
from alumni_assets_tests.corrections.returns import correction
from alumni_assets_tests.endings import Ending, differences, ending_of
from alumni_assets_tests.pipeline.answers import answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import APPROVER, Pipeline

FILES = {
    "survey.csv": csv_bytes(answers(101, 10, Performance_Rating="3")),
    "term.csv": csv_bytes(
        [*answers(1, 27), answer(27), answer(28, Email="nobody"), answer(29, Department="Kitchen")],
    ),
}
_MENDED, _WAIVED = 29, 30  # rows of term.csv


def put_files(pipeline: Pipeline) -> None:
    """The uploads, as they come."""
    for key, content in FILES.items():
        pipeline.put(key, content)


def take_in(pipeline: Pipeline) -> ExecuteInProcessResult:
    """Take in what is new."""
    return pipeline.take_in(*pipeline.find_new())


def approve(pipeline: Pipeline) -> ExecuteInProcessResult:
    """What `alumni run --approve` does: approve all that waits, make again what is not there, and everything below."""
    facts = pipeline.facts
    made = {entry.key for entry in pipeline.lake.list(layout.TRANSFORMED)}
    unarchived = find_unarchived(pipeline.lake, facts, pipeline.instance)
    uploads = {*approval.waiting(facts), *approval.approved_but_not_made(facts, made, unarchived)}
    if uploads and (done := pipeline.approve(*sorted(uploads))).success:
        return done
    return pipeline.renew()


def correct(pipeline: Pipeline) -> None:
    """A reviewer gives a row back."""
    pipeline.put("back.csv", correction(pipeline.upload_of("term.csv"), {_MENDED: answer(28)}))


def give_up_a_row(pipeline: Pipeline) -> None:
    """A person closes a row without a correction."""
    upload = pipeline.upload_of("term.csv")
    waive(pipeline.lake, pipeline.register, upload, [str(_WAIVED)], APPROVER, "nobody knows", "500MB")


def live(pipeline: Pipeline) -> None:
    """All of it, undisturbed."""
    put_files(pipeline)
    assert take_in(pipeline).success
    go_on_from_approval(pipeline)


def go_on_from_approval(pipeline: Pipeline) -> None:
    """The approval, and the rest."""
    assert approve(pipeline).success
    correct(pipeline)
    assert take_in(pipeline).success
    give_up_a_row(pipeline)
    assert approve(pipeline).success


def step_failure(ended: ExecuteInProcessResult) -> StepFailureData:
    """Of what a run failed first."""
    assert not ended.success
    return next(event for event in ended.all_events if event.is_step_failure).step_failure_data


def assert_ended_as(pipeline: Pipeline, undisturbed: Ending) -> None:
    """Everything is as if nothing had happened, and no attempt is held against an upload."""
    found = differences(ending_of(pipeline), undisturbed)
    assert found == [], "\n".join(found)
    assert dict(pipeline.register.attempts()) == {}
