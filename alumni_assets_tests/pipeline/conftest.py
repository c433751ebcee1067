"""A pipeline of its own for each test: a lake, a home and a Dagster instance, and what people do with them.

The jobs run in this process, on real files and a real DuckDB, exactly as the daemon and the `alumni` command
run them. Survey files to put into it are made in `answers.py`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from alumni_assets import intake_plan, jobs
from alumni_assets.definitions import build_defs
from alumni_assets.register import Register
from alumni_assets.reporting import UPLOADS
from alumni_assets.resources.lake import FolderLake
from alumni_assets.settings import load_settings
from alumni_assets.stages import approval
from alumni_assets.survey.standing import Facts, Ingested, Standing, standings
from alumni_assets.survey_rules import DEFAULT_RULES

REAL_FILE = Path(__file__).parents[3] / "shared" / "data" / "dmc_alumni_survey_raw.csv"
APPROVER = "Ana Reyes"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_WITHOUT_ORDER = {"alumni", "survey_responses", "quarantine", "alumni_history"}
_TAKEN_IN = ("raw_survey", "validated_survey", "invalid_survey")
# The assets that are made together with an asset, and the op that makes them.
_MADE_BY = {
    **dict.fromkeys(_TAKEN_IN, (_TAKEN_IN, "take_in")),
    "transformed_survey": (("transformed_survey",), "approve_and_transform"),
    "archived_survey": (("archived_survey",), "archive"),
}


class Pipeline:
    """The pipeline in a folder.

    Uploads are named by their key under raw/ where a person would (`put`, `take_in`), and by their id
    (`upload_of`) once they are taken in. The page, which takes a second each time, is made on request only
    (`makes_page`).
    """

    def __init__(self, folder: Path, rules: Path = DEFAULT_RULES, instance: dg.DagsterInstance | None = None) -> None:
        self.folder = folder
        self.makes_page = False
        self.root = folder / "lake"
        self.home = folder / "home"
        self.raw = self.root / "raw"
        self.raw.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "ALUMNI_LAKE": str(self.root),
            "ALUMNI_HOME": str(self.home),
            "ALUMNI_SURVEY": str(rules),
            "ALUMNI_APPROVER": APPROVER,
        }
        self.instance = instance or dg.DagsterInstance.ephemeral()
        self.lake = FolderLake(self.root)
        self._jobs: dict[tuple[str, ...], dg.JobDefinition] = {}

    @cached_property
    def defs(self) -> dg.Definitions:
        return build_defs(load_settings(self.environment))

    @property
    def register(self) -> Register:
        return Register(self.lake, self.home)

    @property
    def facts(self) -> Facts:
        return self.register.facts()

    def use_rules(self, path: Path) -> None:
        """From now on the survey has these rules."""
        self.environment["ALUMNI_SURVEY"] = str(path)
        self.__dict__.pop("defs", None)
        self._jobs = {}

    def put(self, key: str, content: bytes) -> None:
        """A person puts a file into raw/."""
        path = self.raw / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def take_in(self, *keys: str) -> dg.ExecuteInProcessResult:
        """What the sensor's run does."""
        return self._execute(jobs.TAKE_IN.name, jobs.take_in_config(keys))

    def put_and_take_in(self, key: str, content: bytes) -> str:
        """Put a file and take it in; returns the upload's id."""
        self.put(key, content)
        assert self.take_in(key).success
        return self.upload_of(key)

    def enter_again(self, *uploads: str) -> dg.ExecuteInProcessResult:
        """What the sensor's run does about uploads that Dagster or the lake has lost something of."""
        return self._execute(jobs.TAKE_IN.name, jobs.take_in_config((), uploads))

    def judge_again(self, *uploads: str) -> dg.ExecuteInProcessResult:
        """What `alumni revalidate` does first."""
        return self._execute(jobs.TAKE_IN.name, jobs.take_in_config((), uploads, judge_again=True))

    def approve(self, *uploads: str, by: str = APPROVER, note: str = "") -> dg.ExecuteInProcessResult:
        """What `alumni run --approve` does: these uploads, and everything below."""
        return self._execute(jobs.APPROVE.name, jobs.approve_config(uploads, by, note), tags=jobs.approve_tags(uploads))

    def materialize(self, asset: str, upload: str | None = None, **config: Any) -> dg.ExecuteInProcessResult:
        """What "Materialize" in the UI does for one asset (and one partition of it)."""
        together, node = _MADE_BY.get(asset, ((asset,), asset))
        return self._job_of(together).execute_in_process(
            instance=self.instance,
            run_config={**QUIET, "ops": {node: {"config": config}}} if config else QUIET,
            partition_key=upload,
            raise_on_error=False,
        )

    def renew(self) -> dg.ExecuteInProcessResult:
        """Bring the tables in line with the register, and publish them."""
        return self._execute(jobs.RENEW.name, {})

    def approve_only(self, *uploads: str) -> None:
        """Approve uploads one by one in the UI, without renewing the tables yet."""
        for upload in uploads:
            assert self.materialize("transformed_survey", upload, approved_by=APPROVER).success

    def withdraw(self, upload: str, reason: str = "sent by mistake") -> None:
        approval.withdraw(self.register, upload, APPROVER, reason)

    def find_new(self) -> tuple[str, ...]:
        """What the sensor would take in now, were every file settled."""
        unknown = intake_plan.unknown_objects(self.lake.list("raw/"), intake_plan.known_objects(self.facts))
        return tuple(entry.key.removeprefix("raw/") for entry in unknown)

    def upload_of(self, key: str) -> str:
        """The id of what was last found at a key."""
        return self.facts.arrivals[key][-1].upload

    def uploads_of(self, key: str) -> list[str]:
        """The ids of all that was ever found at a key, the first first."""
        seen = [fact for fact in self.facts.seen.values() if fact.key == key]
        return [fact.upload for fact in sorted(seen, key=lambda fact: fact.received_at)]

    def ingested(self, upload: str) -> Ingested:
        return self.facts.ingested[upload]

    def standing(self, upload: str) -> Standing:
        return standings(self.facts)[upload]

    def statuses(self) -> dict[str, str]:
        return {upload: str(standing.status) for upload, standing in standings(self.facts).items()}

    def published(self, query: str) -> list[tuple[Any, ...]]:
        """Rows from the published DuckDB, as an analyst reads them."""
        with duckdb.connect(str(self.root / "published" / "alumni.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every published table but `publication`; those that have an order, in the order in which it is stored."""
        names = self.published("SELECT table_name FROM duckdb_tables() WHERE table_name <> 'publication'")
        return {
            name: self.published(f"SELECT * FROM {name}{' ORDER BY ALL' if name in _WITHOUT_ORDER else ''}")
            for (name,) in names
        }

    def alumni(self) -> dict[int, str]:
        """The upload that gives each alumnus' row, once deduplicated_survey is up to date."""
        assert self.materialize("deduplicated_survey").success
        return {employee_id: upload for employee_id, upload, _ in self.alumni_rows()}

    def alumni_rows(self) -> list[tuple[int, str, int]]:
        """Employee id, upload and source row of each alumnus in the warehouse."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute("SELECT employee_id, upload, source_row FROM alumni ORDER BY 1").fetchall()

    def files(self, folder: str) -> dict[str, bytes]:
        """The objects below a folder of the lake."""
        root = self.root / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def partition_status(self, asset: str, upload: str) -> AssetPartitionStatus | None:
        """What Dagster shows for one partition of an asset."""
        statuses = self.instance.get_status_by_partition(dg.AssetKey(asset), [upload], UPLOADS)
        return (statuses or {}).get(upload)

    def materialization(self, asset: str, upload: str) -> dg.AssetMaterialization | None:
        """The newest materialization of an asset for an upload."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[upload]), limit=1
        ).records
        return records[0].asset_materialization if records else None

    def check(self, asset: str, name: str, upload: str | None = None) -> dg.AssetCheckEvaluation | None:
        """The newest result of a check, for one upload where the check has one for each."""
        records = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), name), limit=1, partition_filter=PartitionKeyFilter(key=upload)
        )
        event = records[0].event.dagster_event if records and records[0].event else None
        return event.asset_check_evaluation_data if event else None

    def checked(self, asset: str, name: str) -> dict[str, dg.AssetCheckEvaluation]:
        """The newest result of a check for each upload that has one."""
        records = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), name), limit=10_000
        )
        events = [record.event.dagster_event for record in reversed(records) if record.event]
        found = [
            event.asset_check_evaluation_data
            for event in events
            if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        return {evaluation.partition: evaluation for evaluation in found if evaluation.partition}

    def events(self) -> str:
        """All that Dagster's event store holds, and the runs' configurations, as one text."""
        texts = []
        for run in self.instance.get_runs():
            texts.append(dg.serialize_value(run))
            texts += [dg.serialize_value(event) for event in self.instance.all_logs(run.run_id)]
        return "\n".join(re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), text) for text in texts)

    def _job_of(self, assets: tuple[str, ...]) -> dg.JobDefinition:
        if assets not in self._jobs:
            every = self.defs.resolve_implicit_global_asset_job_def()
            self._jobs[assets] = every.get_subset(asset_selection={dg.AssetKey(name) for name in assets})
        return self._jobs[assets]

    def _execute(self, job: str, config: Mapping[str, Any], **more: Any) -> dg.ExecuteInProcessResult:
        definition = self.defs.resolve_job_def(job)
        if not self.makes_page:
            definition = definition.get_subset(
                asset_selection=definition.asset_layer.selected_asset_keys - {dg.AssetKey("alumni_dashboard")}
            )
        return definition.execute_in_process(
            instance=self.instance, run_config={**config, **QUIET}, raise_on_error=False, **more
        )


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    if data.user_failure_data is not None:
        return data.user_failure_data.description or ""
    return data.error.to_string() if data.error else ""


def only(values: Sequence[Any]) -> Any:
    """The one value that there is."""
    (value,) = values
    return value


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings counts."""
    for name in [name for name in os.environ if name.startswith(("ALUMNI_", "DAGSTER_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """A fresh pipeline."""
    fresh = Pipeline(tmp_path)
    with fresh.instance:
        yield fresh


@pytest.fixture(scope="module")
def shared_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One pipeline for all tests of a module, for those that only look."""
    shared = Pipeline(tmp_path_factory.mktemp("pipeline"))
    with shared.instance:
        yield shared


@pytest.fixture(scope="session")
def changed_rules(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the survey's rules with some settings changed: `changed_rules(limits={"columns": 20})`."""

    def write(**sections: Mapping[str, object]) -> Path:
        rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
        for section, settings in sections.items():
            rules[section] |= settings
        path = tmp_path_factory.mktemp("rules") / "survey.yaml"
        path.write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
        return path

    return write
