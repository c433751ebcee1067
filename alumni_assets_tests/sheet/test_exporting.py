"""What is exported, and when: each answer once, whatever happens to the sheet and to the exporter."""

import base64
import hashlib
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import BinaryIO

import pytest

from alumni_assets import layout
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import LakeError
from alumni_assets.sheet.answers import hash_of_id
from alumni_assets.sheet.checkpoint import forget_person
from alumni_assets.sheet.errors import SheetError
from alumni_assets.sheet.exporting import Exporter
from alumni_assets.survey.naming import upload_id
from alumni_assets.survey.standing import Rewritten, Seen
from alumni_assets.survey_rules import default_rules
from alumni_assets_tests.damage import cut_in_half, overwrite_with_noise, spoil_the_middle
from alumni_assets_tests.sheet.conftest import HEADER, NOW, Desk, Sheet, WatchedLake, answer, as_file

FIRST, SECOND, THIRD = (f"raw/sheet/answers-00000{number}.csv" for number in (1, 2, 3))


class KilledError(BaseException):
    """Stands for a process that is gone: nothing catches it."""


def test_the_first_export_takes_all_and_the_next_only_what_is_new(desk: Desk, sheet: Sheet) -> None:
    first = desk.export()
    sheet.rows.append(answer(4))
    second = desk.export()
    assert (first.answers, first.new, first.uploads) == (3, 3, ["sheet/answers-000001.csv"])
    assert (second.answers, second.new, second.uploads) == (4, 1, ["sheet/answers-000002.csv"])
    assert desk.uploads() == {FIRST: [answer(1), answer(2), answer(3)], SECOND: [answer(4)]}
    assert desk.lake.read_bytes(FIRST).startswith(",".join(HEADER).encode() + b"\r\n")


def test_without_new_answers_nothing_is_written(desk: Desk) -> None:
    desk.export()
    before = desk.files()
    assert desk.export().new == 0
    assert desk.files() == before


def test_answers_of_one_moment_and_late_ones_are_all_exported(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows[1:1] = [answer(4), answer(5, **{"Submission Date": "1/1/2020 00:00:00"})]
    sheet.rows.append(answer(6))
    desk.export()
    assert desk.uploads()[SECOND] == [answer(4), answer(5, **{"Submission Date": "1/1/2020 00:00:00"}), answer(6)]


def test_an_edited_answer_is_a_new_answer(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows[1] = answer(2, "Librarian")
    desk.export()
    assert desk.uploads()[SECOND] == [answer(2, "Librarian")]


def test_an_edit_that_is_taken_back_is_a_new_answer_too(desk: Desk, sheet: Sheet) -> None:
    for role in ("Teacher", "Librarian", "Teacher", "Librarian"):
        sheet.rows[1] = answer(2, role)
        desk.export()
        assert desk.export().new == 0
    assert list(desk.uploads().values())[1:] == [[answer(2, role)] for role in ("Librarian", "Teacher", "Librarian")]


def test_answers_that_are_deleted_and_restored_are_not_exported_again(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    restored = sheet.rows.pop(0)
    sheet.rows.append(answer(4))
    desk.export()
    sheet.rows.insert(0, restored)
    assert desk.export().new == 0
    assert len(desk.exported()) == 4


def test_an_older_answer_of_a_person_who_answered_again_is_not_exported_again(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows.append(answer(1, "Librarian"))
    desk.export()
    sheet.rows.pop()
    sheet.rows.append(answer(4))
    assert desk.export().new == 1
    assert desk.export().new == 0


def test_two_equal_answers_are_both_exported_even_one_by_one(desk: Desk, sheet: Sheet) -> None:
    sheet.rows = [answer(1), answer(1)]
    desk.export()
    sheet.rows.append(answer(1))
    desk.export()
    sheet.rows.append(answer(1))
    desk.export()
    assert desk.exported() == [answer(1)] * 4


def test_no_two_uploads_have_equal_content_lest_the_pipeline_take_one_for_a_duplicate(desk: Desk, sheet: Sheet) -> None:
    sheet.rows = []
    for _ in range(4):
        sheet.rows.append(answer(1))
        desk.export()
    contents = [content for key, content in desk.files().items() if key.startswith("raw/")]
    assert len(set(contents)) == len(contents) == 4


def test_sorting_the_sheet_or_moving_its_columns_exports_nothing(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows.reverse()
    sheet.header, sheet.rows = HEADER[::-1], [row[::-1] for row in sheet.rows]
    assert desk.export().new == 0


def test_dates_of_any_locale_pass_through_as_they_are(desk: Desk, sheet: Sheet) -> None:
    texts = ["11/20/2026 08:15:00", "20/11/2026 8:15:00", "2026-11-20", "20.11.2026", "Nov 20, 2026, 8:15 PM", ""]
    sheet.rows = [answer(number, **{"Submission Date": text}) for number, text in enumerate(texts)]
    desk.export()
    assert [row[0] for row in desk.exported()] == texts


def test_many_answers_become_several_uploads_in_order(desk: Desk, sheet: Sheet) -> None:
    sheet.rows = [answer(person) for person in range(7)]
    exported = desk.export(most_answers=3)
    assert (exported.new, len(exported.uploads)) == (7, 3)
    assert desk.exported() == sheet.rows
    assert desk.export(most_answers=3).new == 0


def test_a_sheet_that_is_empty_is_an_error_and_changes_nothing(desk: Desk, sheet: Sheet) -> None:
    for rows, header in (([], HEADER), ([], ())):
        fresh = Sheet(header, rows)
        with pytest.raises(SheetError) as error:
            desk.export(read=lambda fresh=fresh: as_file(fresh.csv()))
        assert error.value.code == "empty"
        assert desk.files() == {}
    desk.export()
    sheet.rows.clear()
    with pytest.raises(SheetError, match="version history"):
        desk.export()
    sheet.rows.append(answer(1))
    assert desk.export().new == 0


def test_a_changed_header_is_an_error_until_a_person_accepts_it(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    before = desk.files()
    sheet.header, sheet.rows = (*HEADER, "May we call you?"), [(*row, "") for row in sheet.rows]
    with pytest.raises(SheetError, match=r"new: 'May we call you\?'") as error:
        desk.export()
    assert error.value.code == "header_changed"
    assert desk.files() == before
    assert desk.export(accept_header=True).new == 0
    assert desk.export().new == 0
    sheet.rows[0] = (*answer(1), "yes")
    desk.export()
    assert desk.exported()[-1] == (*answer(1), "yes")


def test_the_checkpoint_outlives_alumni_home(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows.append(answer(4))
    desk.export()
    sheet.rows[0] = answer(1, "Librarian")
    moved = desk.export(home=desk.folder / "another home")
    assert moved.new == 1
    assert desk.export(home=desk.folder / "a third home").new == 0


@pytest.mark.parametrize("harm", [cut_in_half, overwrite_with_noise, spoil_the_middle])
def test_a_damaged_copy_of_the_checkpoint_is_begun_anew(desk: Desk, sheet: Sheet, harm: Callable[[Path], None]) -> None:
    sheet.rows += [answer(number) for number in range(4, 300)]
    desk.export()
    (copy,) = desk.home.glob("sheet-answers-*.sqlite")
    harm(copy)
    sheet.rows.append(answer(300))
    assert desk.export().new == 1
    harm(copy)
    assert desk.exporter().finish().finished == []
    assert desk.export().new == 0


def test_one_home_may_serve_two_lakes(desk: Desk, tmp_path: Path, sheet: Sheet) -> None:
    other = Desk(tmp_path / "other", Sheet(rows=[answer(7), answer(8)]))
    other.export()
    assert desk.export(home=other.home).new == 3
    assert other.export().new == 0


def test_facts_that_are_lost_or_damaged_stop_the_exporter_instead_of_repeating_answers(
    desk: Desk, sheet: Sheet
) -> None:
    desk.export()
    sheet.rows.append(answer(4))
    desk.export()
    fact = layout.export_key("answers", 1)
    body = desk.lake.read_bytes(fact)
    for damage in (lambda: desk.lake.delete(fact), lambda: desk.lake.put_bytes(fact, b"{}")):
        damage()
        with pytest.raises(SheetError, match="backup") as error:
            desk.export()
        assert error.value.code == "checkpoint"
    desk.lake.put_bytes(fact, body)
    assert desk.export().new == 0


def test_files_that_other_programs_leave_beside_the_facts_disturb_nothing(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    for name in (".DS_Store", "000001 (1).json", "1.json", "notes-1.csv"):
        desk.lake.put_bytes(f"register/exports/answers/{name}", b"\0")
        desk.lake.put_bytes(f"sheet/pending/answers/{name}", b"\0")
    sheet.rows.append(answer(4))
    assert desk.export().uploads == ["sheet/answers-000002.csv"]
    assert desk.exporter().finish().finished == []
    person = hash_of_id("628004")
    assert person is not None
    assert forget_person(desk.lake, desk.home, "answers", person) == 1


def test_facts_hold_no_answers(desk: Desk) -> None:
    desk.export()
    facts = [body for key, body in desk.files().items() if key.startswith("register/")]
    home = [path.read_bytes() for path in desk.home.rglob("*") if path.is_file()]
    for body in facts + home:
        assert not any(cell.encode() in body for cell in answer(1) if cell.startswith(("Valerie", "valerie", "9")))


def test_an_upload_that_a_person_deleted_or_changed_is_left_so(desk: Desk) -> None:
    desk.export()
    desk.lake.delete(FIRST)
    assert desk.export().new == 0
    assert desk.uploads() == {}


def test_a_file_in_the_way_of_an_upload_is_an_error_and_the_answers_follow_once_it_is_gone(desk: Desk) -> None:
    desk.lake.put_bytes(FIRST, b"somebody's own")
    with pytest.raises(SheetError, match="another name") as error:
        desk.export()
    assert error.value.code == "name_taken"
    desk.lake.delete(FIRST)
    assert desk.export().finished == ["sheet/answers-000001.csv"]
    assert desk.exported() == [answer(1), answer(2), answer(3)]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_killed_at_any_write_no_answer_is_lost_or_doubled(desk: Desk, sheet: Sheet, write: int, moment: str) -> None:
    desk.export()
    sheet.rows.append(answer(4))
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, write, moment))
    sheet.rows.append(answer(5))
    desk.export()
    desk.export()
    assert Counter(desk.exported()) == Counter(sheet.rows)
    assert not list(desk.lake.list("sheet/"))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [3, 4])
def test_killed_after_its_fact_even_answers_that_are_gone_from_the_sheet_arrive(
    desk: Desk, sheet: Sheet, write: int, moment: str
) -> None:
    desk.export()
    sheet.rows.append(answer(4))
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, write, moment))
    sheet.rows.pop()
    desk.export()
    assert Counter(desk.exported()) == Counter([answer(1), answer(2), answer(3), answer(4)])


def test_what_a_killed_exporter_put_aside_goes_after_a_day_though_nothing_new_comes(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows.append(answer(4))
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, 1, "after"))
    sheet.rows.pop()
    (left,) = desk.lake.list("sheet/")
    put_aside = left.modified.replace(tzinfo=None)
    desk.export(now=lambda: put_aside + timedelta(hours=23))
    assert list(desk.lake.list("sheet/")) == [left]
    desk.export(now=lambda: put_aside + timedelta(hours=25))
    assert list(desk.lake.list("sheet/")) == []
    assert desk.uploads() == {FIRST: [answer(1), answer(2), answer(3)]}


def test_killed_after_the_upload_a_person_may_have_corrected_it_before_the_next_export(desk: Desk) -> None:
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, 3, "after"))
    exported = hashlib.sha256(desk.lake.read_bytes(FIRST)).hexdigest()
    Register(desk.lake, desk.home).enter_seen(
        Seen(upload_id("sheet/answers-000001.csv", exported), "sheet/answers-000001.csv", exported, 1, NOW)
    )
    desk.lake.put_bytes(FIRST, b"corrected")
    assert desk.export().new == 0
    assert desk.lake.read_bytes(FIRST) == b"corrected"
    assert not list(desk.lake.list("sheet/"))


@pytest.mark.parametrize(("write", "arrives"), [(2, False), (3, True)])
def test_what_killed_exporters_left_is_finished_or_thrown_away_when_nobody_is_at_work(
    desk: Desk, write: int, arrives: bool
) -> None:
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, write, "before"))
    exporter = Exporter(desk.lake, desk.home, "answers", default_rules().limits, lambda: as_file(b""), lambda: NOW)
    assert exporter.finish().finished == (["sheet/answers-000001.csv"] if arrives else [])
    assert list(desk.lake.list("sheet/")) == []
    assert desk.export().new == (0 if arrives else 3)
    assert desk.exported() == [answer(1), answer(2), answer(3)]


def test_an_upload_that_was_rewritten_for_an_erasure_counts_as_delivered(desk: Desk) -> None:
    with pytest.raises(KilledError):
        desk.export(lake=killed_at(desk, 4, "before"))
    exported = hashlib.sha256(desk.lake.read_bytes(FIRST)).hexdigest()
    Register(desk.lake, desk.home).enter_rewritten(Rewritten(exported, "another", 1))
    desk.lake.put_bytes(FIRST, b"without somebody")
    assert desk.export().new == 0
    assert desk.lake.read_bytes(FIRST) == b"without somebody"


def test_whose_answers_were_exported_can_be_forgotten_but_not_that_they_were(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    person = hash_of_id("0628002.0")
    assert person is not None
    held = [base64.b64decode(json.loads(body)["new"]) for key, body in desk.files().items() if "exports" in key]
    assert [person in new for new in held] == [True]
    assert forget_person(desk.lake, desk.home, "answers", person) == 1
    assert forget_person(desk.lake, desk.home, "answers", person) == 0
    held = [base64.b64decode(json.loads(body)["new"]) for key, body in desk.files().items() if "exports" in key]
    assert [person in new for new in held] == [False]
    assert [path for path in desk.home.iterdir() if person in path.read_bytes()] == []
    sheet.rows.append(answer(4))
    assert desk.export().new == 1


@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_a_process_that_is_killed_loses_and_doubles_nothing(desk: Desk, sheet: Sheet, write: int) -> None:
    def die(number: int, _key: str) -> None:
        if number == write:
            os.kill(os.getpid(), signal.SIGKILL)

    lake = WatchedLake(desk.lake, die, lambda *_: None)
    process = multiprocessing.get_context("fork").Process(target=lambda: desk.export(lake=lake))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    desk.export()
    assert desk.exported() == sheet.rows
    assert not [path for path in desk.home.iterdir() if not path.name.startswith("sheet-answers-")]


def test_what_cannot_be_written_is_exported_the_next_time(desk: Desk, sheet: Sheet) -> None:
    def refuse(number: int, _key: str) -> None:
        if number == 2:
            raise LakeError("the disk is full")

    with pytest.raises(LakeError):
        desk.export(lake=WatchedLake(desk.lake, refuse, lambda *_: None))
    desk.export()
    assert desk.exported() == sheet.rows


@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_of_two_exporters_at_once_each_answer_is_exported_by_one(desk: Desk, sheet: Sheet, write: int) -> None:
    def let_another_go_first(number: int, _key: str) -> None:
        if number == write:
            sheet.rows.append(answer(4))
            desk.export(home=desk.folder / "another home")

    desk.export(lake=WatchedLake(desk.lake, let_another_go_first, lambda *_: None))
    desk.export()
    assert Counter(desk.exported()) == Counter(sheet.rows)
    assert not list(desk.lake.list("sheet/"))


@pytest.mark.parametrize("home", ["home", "another home"])
def test_an_exporter_that_was_overtaken_does_not_bring_back_what_it_read_before(
    desk: Desk, sheet: Sheet, home: str
) -> None:
    desk.export()
    sheet.rows.append(answer(4))

    @contextmanager
    def read_slowly() -> Iterator[BinaryIO]:
        with as_file(sheet.csv()) as content:
            if sheet.rows[0] == answer(1):
                sheet.rows[0] = answer(1, "Librarian")
                desk.export(home=desk.folder / home)
            yield content

    assert desk.export(read=read_slowly).new == 0
    assert desk.uploads()[SECOND] == [answer(1, "Librarian"), answer(4)]
    assert THIRD not in desk.uploads()


@pytest.mark.parametrize("home", ["home", "another home"])
def test_an_exporter_that_was_overtaken_between_two_uploads_reads_the_sheet_again(
    desk: Desk, sheet: Sheet, home: str
) -> None:
    desk.export()
    sheet.rows += [answer(4), answer(5)]

    def edit_meanwhile(number: int, _key: str, _done: object) -> None:
        if number == 4:
            sheet.rows[0] = answer(1, "Librarian")
            desk.export(home=desk.folder / home)

    exported = desk.export(lake=WatchedLake(desk.lake, lambda *_: None, edit_meanwhile), most_answers=1)
    assert (exported.new, exported.uploads) == (1, ["sheet/answers-000002.csv"])
    assert desk.exported()[3:] == [answer(4), answer(1, "Librarian"), answer(5)]


def test_an_exporter_at_work_is_not_disturbed_by_one_that_finds_nothing(desk: Desk, sheet: Sheet) -> None:
    desk.export()
    sheet.rows.append(answer(4))

    def look_while_the_answer_is_gone(number: int, _key: str) -> None:
        if number == 2:
            sheet.rows.pop()
            assert desk.export(home=desk.folder / "another home").new == 0

    def kill(number: int, _key: str, _done: object) -> None:
        if number == 2:
            raise KilledError

    with pytest.raises(KilledError):
        desk.export(lake=WatchedLake(desk.lake, look_while_the_answer_is_gone, kill))
    assert desk.export().finished == ["sheet/answers-000002.csv"]
    assert desk.uploads()[SECOND] == [answer(4)]


def test_exporters_in_a_race_export_each_answer_once_while_more_come_in(desk: Desk, sheet: Sheet) -> None:
    ready, failures = Barrier(3), []

    def race(number: int) -> None:
        ready.wait()
        try:
            for round_number in range(3):
                sheet.rows.append(answer(100 * number + round_number))
                desk.export(home=desk.folder / f"home {number % 2}", most_answers=10)
        except BaseException as error:
            failures.append(error)

    sheet.rows = [answer(person) for person in range(40)]
    racers = [Thread(target=race, args=(number,)) for number in (1, 2, 3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    desk.export()
    assert failures == []
    assert Counter(desk.exported()) == Counter(sheet.rows)


def killed_at(desk: Desk, write: int, moment: str) -> WatchedLake:
    """The desk's lake, with the process gone before or after one of the writes."""

    def kill(number: int, *_: object) -> None:
        if number == write:
            raise KilledError

    def live_on(*_: object) -> None:
        pass

    return WatchedLake(desk.lake, kill if moment == "before" else live_on, kill if moment == "after" else live_on)
