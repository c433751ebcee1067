"""The same uploads and tables twice: by the engine of one machine, and by a real Spark on this one.

One Spark serves most tests, without a process of its own; jobs as Dagster starts them are in `test_jobs.py`, and as
AWS Glue runs them in `test_glue.py`.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alumni_assets import layout
from alumni_assets.contract import Contract, default_contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_folder import FolderLake
from alumni_assets.spark.engine import RunJob, SparkEngine
from alumni_assets.spark.request import Outcome, Request, outcome_as_json, outcome_from_json, request_from_json
from alumni_assets.spark.request import request_as_json as as_json
from alumni_assets.stages import intake
from alumni_assets.stages.engine import Engine, LocalEngine, ToTransform
from alumni_assets.stages.transformation import TransformedUpload
from alumni_assets.stages.validation import Validated
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.standing import Seen

from ..lake.conftest import bucket_place, s3_client, s3_server
from ..pipeline.conftest import Pipeline, changed_rules, own_environment, pipeline

__all__ = ["bucket_place", "changed_rules", "own_environment", "pipeline", "s3_client", "s3_server"]

RECEIVED = datetime(2026, 11, 1, 8, 30)
MEMORY = "500MB"
SECRET = "Zzyzx Quetzalcoatl"
Found = tuple[Any, dict[str, bytes]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.spark)


def messages(pipeline: Pipeline) -> list[str]:
    """What runs logged."""
    return [
        entry.user_message for run in pipeline.instance.get_runs() for entry in pipeline.instance.all_logs(run.run_id)
    ]


@pytest.fixture(scope="session")
def spark_is_here(lacking: Callable[[str], NoReturn]) -> Iterator[None]:
    """Ends the test where Spark cannot run; where it can, its JVMs get settings for short lives."""
    if find_spec("pyspark") is None:
        lacking("pyspark is not installed (make spark)")
    if shutil.which("java") is None:
        lacking("there is no Java on this machine")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPARK_CONF_DIR", str(Path(__file__).parent / "quick_jvm"))
        yield


@pytest.fixture(scope="session")
def run_job(spark_is_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunJob]:
    """Runs jobs on a Spark of this process; what is asked and answered takes its way through JSON."""
    from alumni_assets.spark.job import outcomes
    from alumni_assets.spark.session import environment_of_this_machine, settings_of_this_machine, spark_session

    settings = settings_of_this_machine("local[2]", "1GB", tmp_path_factory.mktemp("spark"))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in environment_of_this_machine().items():
            environment.setenv(name, value)
        with spark_session(settings) as spark:

            def run(request: Request) -> Sequence[Outcome]:
                asked = request_from_json(as_json(request))
                assert asked == request
                answers = outcomes(spark, asked, Contract(asked.rules), lambda _: None)
                return [outcome_from_json(outcome_as_json(answer)) for answer in answers]

            yield run


class Side:
    """One engine, with a lake of its own."""

    def __init__(self, root: Path, contract: Contract, run_job: RunJob | None = None) -> None:
        root.mkdir()
        self.lake = FolderLake(root)
        self.contract = contract
        self.engine: Engine = LocalEngine(self.lake, contract, MEMORY)
        self._location = str(root)
        if run_job is not None:
            self.engine = self.on_spark(contract, run_job)

    def on_spark(self, contract: Contract, run_job: RunJob) -> SparkEngine:
        """Spark as the engine of this side, with these rules."""
        return SparkEngine(self.lake, self._location, contract, run_job, "step", {})

    def judged(self, seen: Seen) -> Validated | tuple[str, str] | str:
        """What judging an upload gives, less the time it took; or why it cannot be read, or what broke."""
        file_format = intake.inspect(self.lake, seen, self.contract.rules.limits)
        if isinstance(file_format, UnreadableUploadError):
            return file_format.code, file_format.message
        try:
            return replace(self.engine.validate(seen, file_format, lambda *_: None), seconds=0)
        except UnreadableUploadError as unreadable:
            return unreadable.code, unreadable.message

    def transformed(self, upload: ToTransform, approved: str) -> TransformedUpload:
        """What transforming an upload gives, less the time it took."""
        return replace(self.engine.transform(upload, approved, lambda *_: None), seconds=0)

    def announce(self, uploads: Sequence[Seen]) -> None:
        """Say beforehand what will have to be judged, as a run does."""
        formats = {seen: intake.inspect(self.lake, seen, self.contract.rules.limits) for seen in uploads}
        self.engine.judge_ahead([(seen, found) for seen, found in formats.items() if isinstance(found, FileFormat)])

    def files(self) -> dict[str, bytes]:
        """The stored tables, by their keys."""
        folders = ("valid/", "invalid/", "transformed/")
        return {entry.key: self.lake.read_bytes(entry.key) for some in folders for entry in self.lake.list(some)}


class BothEngines:
    """The two, side by side."""

    def __init__(self, folder: Path, run_job: RunJob, contract: Contract) -> None:
        self.here = Side(folder / "here", contract)
        self.there = Side(folder / "there", contract, run_job)
        self._home = folder

    def pin(self, key: str, content: bytes | Path) -> Seen:
        """Put an upload into both lakes, received at the same time."""
        for side in (self.here, self.there):
            with side.lake.writing(layout.RAW + key) as path:
                path.write_bytes(content) if isinstance(content, bytes) else shutil.copyfile(content, path)
            register = Register(side.lake, self._home / f"home-{id(side)}")
            seen = intake.pin(side.lake, register, key, RECEIVED).seen
        return seen


@pytest.fixture
def both(tmp_path: Path, run_job: RunJob) -> BothEngines:
    return BothEngines(tmp_path, run_job, default_contract())
