"""`alumni erase`: nothing of a person is left anywhere, nobody else is changed, and nothing brings them back."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from alumni_assets import layout
from alumni_assets.one_pass import OnePass
from alumni_assets.stages.archive import DamagedManifestError, archive_folder, archived_files

from ..corrections.returns import correction
from ..pipeline.answers import answer, csv_bytes
from ..pipeline.conftest import Pipeline
from ..pipeline.test_sensors import tick
from .conftest import KEY, NEEDLES, Alumni, World, erase, in_environment, of_person, places_of, seen_by_others

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(erased: World) -> dict[str, list[Any]]:
    """What everybody else sees after the erasure."""
    return seen_by_others(erased.pipeline, erased.uploads)


def test_nothing_of_the_person_is_left_in_any_byte_of_the_lake_or_of_the_home(erased: World) -> None:
    assert places_of(erased.pipeline.folder, (*NEEDLES, KEY)) == []
    counts = {key: erased.done.rows.get(upload, 0) for key, upload in erased.uploads.items()}
    assert counts == {
        "term.csv": 4,
        "copy of term.csv": 4,
        "fix.csv": 2,
        "windows.txt": 1,
        "packed.csv.gz": 1,
        "book.xlsx": 1,
        "old.csv": 1,
        "old.csv, newer": 1,
        "gone.csv": 1,
        "no table.csv": 0,
    }
    assert erased.done.unread == [erased.uploads["no table.csv"]]
    assert erased.done.is_complete


def test_everybody_else_sees_what_they_would_had_the_person_never_been_there(
    tables: dict[str, list[Any]], tmp_path: Path
) -> None:
    other = World(Pipeline(tmp_path), is_there=False).build()
    expected = seen_by_others(other.pipeline, other.uploads)
    for name, rows in expected.items():
        assert tables[name] == rows, name


def test_what_was_put_before_changes_nothing_when_it_is_put_again(
    erased: World, pipeline: Pipeline, alumni: Alumni, tables: dict[str, list[Any]], tmp_path: Path
) -> None:
    before = erased.pipeline.folder.parent / "before" / "raw"
    for path in before.iterdir():
        shutil.copy(path, pipeline.raw / path.name)
        shutil.copy(path, pipeline.raw / f"again {path.name}")
    done = alumni("run", "--approve", "--json")
    assert done.status == 0
    names = ("book.xlsx", "copy of term.csv", "fix.csv", "no table.csv", "old.csv", "packed.csv.gz", "windows.txt")
    assert done.standings == {
        **{f"again {name}": "duplicate" for name in names},
        "again term.csv": "duplicate",
        "again no table.csv": "rejected",
        "again gone.csv": "transformed",  # what was withdrawn is judged on its own
    }
    assert places_of(tmp_path) == []
    assert seen_by_others(pipeline, erased.uploads)["alumni"] == sorted(
        [*tables["alumni"], *_alumni_of(pipeline, "again gone.csv")], key=str
    )


def _alumni_of(pipeline: Pipeline, key: str) -> list[Any]:
    upload = pipeline.upload_of(key)
    query = "SELECT * EXCLUDE (received_at) FROM alumni WHERE upload = '{}' ORDER BY employee_id"
    return pipeline.published(query.format(upload.replace("'", "''")))


def test_new_files_and_corrections_come_in_without_the_person(
    erased: World, pipeline: Pipeline, alumni: Alumni, tmp_path: Path
) -> None:
    term = erased.uploads["term.csv"]
    pipeline.put("later.csv", csv_bytes([answer(50), of_person(Job_Role="Cook"), answer(51)]))
    pipeline.put("unreadable id.csv", csv_bytes([answer(52), of_person(Employee_ID="x")]))
    cells = {24: of_person(), 25: answer(22), 26: {"Employee_Name": "Zenobia Quillfeather"}}
    pipeline.put("late fix.csv", correction(term, cells))
    done = alumni("run", "--approve", "--json")
    assert done.status == 0
    rows = {line["upload"].rpartition("@")[0]: (line["status"], line["valid"]) for line in done.report["uploads"]}
    assert rows == {
        "later.csv": ("transformed", 2),
        "unreadable id.csv": ("transformed", 1),
        "late fix.csv": ("transformed", 1),
    }
    assert places_of(tmp_path) == []


@pytest.mark.long
def test_the_tables_are_the_same_when_everything_but_the_lake_is_lost(
    erased: World, pipeline: Pipeline, alumni: Alumni, tables: dict[str, list[Any]], tmp_path: Path
) -> None:
    done = alumni("run", "--json")
    assert (done.status, done.report["uploads"]) == (0, [])
    assert seen_by_others(pipeline, erased.uploads) == tables
    assert places_of(tmp_path) == []


@pytest.mark.long
def test_judging_anew_gives_the_very_tables_that_the_erasure_left(
    erased: World, pipeline: Pipeline, alumni: Alumni, tables: dict[str, list[Any]]
) -> None:
    folders = ("valid", "invalid")
    stored = {folder: pipeline.files(folder) for folder in folders}
    validated = [upload for upload, ingested in pipeline.facts.ingested.items() if ingested.outcome == "validated"]
    assert alumni("revalidate", *validated).status == 0
    for folder in folders:
        now = pipeline.files(folder)
        assert {name for name in now if now[name] != stored[folder][name]} <= {
            name for name in now if name.endswith(".xlsx")
        }
    assert seen_by_others(pipeline, erased.uploads) == tables


@pytest.mark.long
def test_what_is_lost_comes_back_from_the_archive_without_the_person(
    erased: World, pipeline: Pipeline, alumni: Alumni, tables: dict[str, list[Any]], tmp_path: Path
) -> None:
    assert alumni("run").status == 0
    for key in ("term.csv", "packed.csv.gz", "book.xlsx"):
        upload = erased.uploads[key]
        lost = {
            layout.pinned_key(upload),
            layout.valid_key(upload),
            layout.transformed_key(upload),
        }
        kept = {key: pipeline.lake.read_bytes(key) for key in lost}
        for name in lost:
            pipeline.lake.delete(name)
        done = alumni("restore", upload, "--json")
        assert (done.status, done.report["restored"]) == (0, True)
        assert {name: pipeline.lake.read_bytes(name) for name in lost} == kept
    assert places_of(tmp_path) == []
    assert seen_by_others(pipeline, erased.uploads)["alumni"] == tables["alumni"]


@pytest.mark.long
def test_a_damaged_manifest_in_the_archive_is_named_and_once_it_is_mended_nothing_of_the_person_is_left(
    erased: World, pipeline_before: Pipeline
) -> None:
    place, upload = pipeline_before, erased.uploads["term.csv"]
    folder = archive_folder(place.facts.transformed[upload])
    earlier = f"archive/2020-01-01/{folder.split('/')[2]}/"
    for entry in list(place.lake.list(folder)):
        place.lake.copy(entry.key, entry.key.replace(folder, earlier))
    place.lake.put_bytes(f"{earlier}manifest.json", b"{")
    with in_environment(place):
        with pytest.raises(DamagedManifestError, match=r"2020-01-01.* delete that whole folder, and repeat this"):
            erase(place)
        shutil.rmtree(place.root / earlier)
        place.lake.put_bytes(f"{folder}manifest.json", b"{")
        with pytest.raises(DamagedManifestError, match=r"delete it and call `alumni run`.* Then repeat this\."):
            erase(place)
        place.lake.delete(f"{folder}manifest.json")
        with OnePass() as one_pass:
            assert one_pass.run(None, "")["broken"] == []
        assert erase(place).is_complete
    assert len(archived_files(place.lake, folder)) == 2
    assert places_of(place.root) == []


@pytest.mark.long
def test_a_restored_backup_is_not_judged_before_the_person_is_erased_from_it_again(
    erased: World, pipeline: Pipeline, alumni: Alumni, tables: dict[str, list[Any]], tmp_path: Path
) -> None:
    for folder in ("raw", "pinned", "valid", "invalid", "transformed", "archive"):
        shutil.copytree(erased.pipeline.folder.parent / "before" / folder, pipeline.root / folder, dirs_exist_ok=True)
    done = alumni("revalidate", erased.uploads["windows.txt"])
    assert (done.status, "uploads could not be taken in again" in done.err) == (1, True)
    done = alumni("erase", "--again")
    assert (done.status, done.err) == (0, "")
    assert places_of(tmp_path) == []
    assert seen_by_others(pipeline, erased.uploads) == tables


@pytest.mark.long
def test_erasing_again_finds_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    with in_environment(pipeline):
        done = erase(pipeline)
    assert (done.rows, done.objects) == ({}, 0)
    assert len(pipeline.facts.erasures) == 1


@pytest.mark.long
def test_files_that_other_programs_leave_beside_a_sheets_facts_do_not_stop_it(pipeline: Pipeline) -> None:
    for folder in ("register/exports", "register/exports/answers", "sheet/pending", "sheet/pending/answers"):
        (pipeline.root / folder).mkdir(parents=True, exist_ok=True)
        (pipeline.root / folder / ".DS_Store").touch()
    with in_environment(pipeline):
        assert erase(pipeline).rows == {}


@pytest.mark.parametrize("key", ["", "another secret that is long enough"])
def test_nothing_is_taken_in_without_the_key_of_the_ledger(pipeline: Pipeline, key: str) -> None:
    pipeline.environment["ALUMNI_ERASURE_KEY"] = key
    pipeline.put("later.csv", csv_bytes([answer(50)]))
    assert not pipeline.take_in("later.csv").success
    assert "later.csv" not in pipeline.facts.arrivals
    assert pipeline.register.attempts() == {}
    assert "none of theirs" in tick(pipeline).skip_message  # and it is not tried again every few seconds
    pipeline.environment["ALUMNI_ERASURE_KEY"] = "a secret that is long enough for tests"
    pipeline.__dict__.pop("defs")
    assert pipeline.take_in("later.csv").success


@pytest.mark.long
def test_uploads_that_cannot_be_searched_are_deleted_where_that_is_asked_for(erased: World, pipeline: Pipeline) -> None:
    pinned = pipeline.root / "pinned" / erased.uploads["no table.csv"].replace("@", "-")
    assert pinned.exists()
    pipeline.put("person.pdf", b"%PDF-1.7 " + NEEDLES[0].encode())
    with in_environment(pipeline):
        assert pipeline.take_in("person.pdf").success
        assert places_of(pipeline.root)
        # a copied lake has other etags, so that what is under raw/ counts as put again
        assert pipeline.take_in("no table.csv").success
        erase(pipeline, delete_unreadable=True)
    assert not pinned.exists()
    assert not (pipeline.raw / "no table.csv").exists()
    assert places_of(pipeline.root) == []


def test_the_command_says_what_it_needs(pipeline: Pipeline, alumni: Alumni, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in {
        ("erase",): "either an EMPLOYEE_ID or --again",
        ("erase", "1", "--again"): "either an EMPLOYEE_ID or --again",
        ("erase", "--again", "--dry-run"): "--dry-run counts the rows of one person",
        ("erase", "1"): "--reason",
        ("erase", "17", "--reason", "for 17"): "must not have the employee id",
        ("erase", "Ana", "--reason", "asked"): "no employee id",
    }.items():
        done = alumni(*arguments)
        assert (done.status, message in done.err) == (2, True), arguments
    assert len(pipeline.facts.erasures) == 1
    monkeypatch.delenv("ALUMNI_ERASURE_KEY")
    done = alumni("erase", "1", "--reason", "asked for it")
    assert (done.status, "ALUMNI_ERASURE_KEY" in done.err) == (2, True)


def test_a_dry_run_counts_and_changes_nothing(erased: World, pipeline: Pipeline, alumni: Alumni) -> None:
    files = pipeline.files("")
    done = alumni("erase", "3", "--dry-run")
    term, copy = erased.uploads["term.csv"], erased.uploads["copy of term.csv"]
    assert done.status == 0
    assert {f"{term}: 1 rows", f"{copy}: 1 rows"} <= set(done.out.splitlines())
    assert "2 rows in 2 uploads. Nothing was changed." in done.out
    assert pipeline.files("") == files
