"""Whatever people put into raw/ is taken in: each upload gets its own verdict, in one run with all others."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from alumni_assets import layout

from .conftest import Pipeline
from .hostile_uploads import HOSTILE_UPLOADS, LIMITS, HostileUpload, content_of

pytestmark = pytest.mark.slow

ACCEPTED = [upload for upload in HOSTILE_UPLOADS if upload.status == "validated"]
REJECTED = [upload for upload in HOSTILE_UPLOADS if upload.status == "rejected"]


@pytest.fixture(scope="module")
def taken_in(
    tmp_path_factory: pytest.TempPathFactory, changed_rules: Callable[..., Path]
) -> Iterator[tuple[Pipeline, dg.ExecuteInProcessResult]]:
    """A pipeline, and the one run in which it took in every upload of the table."""
    pipeline = Pipeline(tmp_path_factory.mktemp("hostile"), changed_rules(limits=LIMITS))
    for position, upload in enumerate(HOSTILE_UPLOADS):
        pipeline.put(upload.name, content_of(position))
    with pipeline.instance:
        yield pipeline, pipeline.take_in(*[upload.name for upload in HOSTILE_UPLOADS])


@pytest.fixture(scope="module")
def hostile(taken_in: tuple[Pipeline, dg.ExecuteInProcessResult]) -> Pipeline:
    return taken_in[0]


@pytest.fixture(scope="module")
def outcomes(hostile: Pipeline) -> dict[str, HostileUpload]:
    """What became of each upload, in the words of the table."""
    facts = hostile.facts
    return {
        facts.seen[upload].key: HostileUpload(
            facts.seen[upload].key,
            lambda _first_id: b"",
            status=ingested.outcome,
            rows=ingested.rows,
            invalid=ingested.invalid,
            reasons=ingested.reasons,
            code=ingested.code,
            words=(ingested.reason,),
        )
        for upload, ingested in facts.ingested.items()
    }


def test_there_are_many_hostile_uploads_and_no_two_have_one_name() -> None:
    names = [upload.name for upload in HOSTILE_UPLOADS]
    assert len(names) == len(set(names)) >= 60


def test_one_run_takes_all_of_them_in(taken_in: tuple[Pipeline, dg.ExecuteInProcessResult]) -> None:
    pipeline, result = taken_in
    assert result.success
    assert {seen.key for seen in pipeline.facts.seen.values()} == {upload.name for upload in HOSTILE_UPLOADS}


@pytest.mark.parametrize("expected", HOSTILE_UPLOADS, ids=lambda upload: ascii(upload.name)[1:41].rstrip("'"))
def test_an_upload_is_judged_as_the_contract_says(expected: HostileUpload, outcomes: dict[str, HostileUpload]) -> None:
    found = outcomes[expected.name]
    assert (found.status, found.code, found.rows, found.valid, found.invalid, dict(found.reasons)) == (
        expected.status,
        expected.code,
        expected.rows,
        expected.valid,
        expected.invalid,
        dict(expected.reasons),
    )
    (sentence,) = found.words
    assert all(word in sentence for word in expected.words), sentence
    assert bool(sentence) == (expected.status == "rejected")


def test_an_upload_among_bad_ones_is_judged_as_it_is_alone(hostile: Pipeline, tmp_path: Path) -> None:
    alone = Pipeline(tmp_path)
    position = next(place for place, upload in enumerate(HOSTILE_UPLOADS) if upload.name == "everything wrong.csv")
    name = HOSTILE_UPLOADS[position].name
    upload = alone.put_and_take_in(name, content_of(position))
    for key in (layout.valid_key(upload), layout.invalid_key(upload), layout.pinned_key(upload)):
        assert hostile.lake.read_bytes(key) == alone.lake.read_bytes(key)


def test_every_accepted_upload_is_a_partition_with_all_its_checks(hostile: Pipeline) -> None:
    accepted = {hostile.upload_of(expected.name): expected for expected in ACCEPTED}
    for asset in ("validated_survey", "invalid_survey"):
        assert hostile.instance.get_materialized_partitions(dg.AssetKey(asset)) == set(accepted)
    readable = hostile.checked("raw_survey", "readable")
    assert {upload for upload, evaluation in readable.items() if evaluation.passed} == set(accepted)
    for check in ("rows_accounted_for", "schema_holds"):
        found = hostile.checked("validated_survey", check)
        assert {upload: evaluation.passed for upload, evaluation in found.items()} == dict.fromkeys(accepted, True)
    shares = hostile.checked("invalid_survey", "no_open_rows")
    assert {upload: evaluation.passed for upload, evaluation in shares.items()} == {
        upload: expected.invalid == 0 for upload, expected in accepted.items()
    }


def test_every_rejected_upload_fails_its_check_with_the_reason_and_goes_no_further(hostile: Pipeline) -> None:
    facts, readable = hostile.facts, hostile.checked("raw_survey", "readable")
    everything = set(facts.seen)
    assert hostile.instance.get_materialized_partitions(dg.AssetKey("raw_survey")) == everything
    for expected in REJECTED:
        upload = facts.arrivals[expected.name][-1].upload
        evaluation = readable[upload]
        assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert evaluation.metadata["reason_code"].value == expected.code
        assert facts.ingested[upload].reason in (evaluation.description or "")
        assert hostile.lake.stat(layout.valid_key(upload)) is None


def test_every_upload_is_in_the_published_tables_whatever_its_name(hostile: Pipeline) -> None:
    assert hostile.renew().success
    published = hostile.published("SELECT upload, status, row_count, valid, invalid, reason FROM uploads")
    assert {row[0]: row[1:] for row in published} == {
        upload: (
            ingested.outcome,
            ingested.rows,
            ingested.valid,
            ingested.invalid,
            # Not to be approved: the share of open rows is over the limit.
            ingested.reason or ("May not be approved: failed no_open_rows." if ingested.failed_checks else None),
        )
        for upload, ingested in hostile.facts.ingested.items()
    }
    (quarantined,) = hostile.published("SELECT count(*) FROM quarantine WHERE status = 'open'")[0]
    assert quarantined == sum(upload.invalid or 0 for upload in ACCEPTED)


def test_objects_in_the_lake_have_names_that_every_tool_can_read(hostile: Pipeline) -> None:
    for folder in ("pinned", "valid", "invalid", "register"):
        for name in hostile.files(folder):
            assert all(part[0] not in "._" and len(part.encode()) <= 255 for part in name.split("/")), name
            assert name.isprintable(), name
    assert all("/" not in name for name in hostile.files("valid"))
    assert len(hostile.files("pinned")) == len(HOSTILE_UPLOADS)


def test_nobody_can_be_recognized_from_the_events_about_hostile_uploads(hostile: Pipeline) -> None:
    events, personal = hostile.events(), ["employee_name", "email", "phone_number"]
    cells: set[str] = set()
    for folder in ("valid", "invalid"):
        for path in (hostile.root / folder).glob("*.parquet"):
            columns = pq.read_table(path, columns=personal).columns
            cells |= {cell.strip() for column in columns for cell in column.to_pylist() if cell}
    assert len(cells) > 500
    assert {cell for cell in cells if len(cell) > 8 and cell in events} == set()
