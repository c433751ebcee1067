"""What a lake promises, asked of a folder and of buckets of two makers alike."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alumni_assets.resources.lake import Lake, LakeEntry, LakeError, LakeKeyError, LakeResource

from .conftest import FolderPlace, Place

ODD_KEYS = [
    "raw/two words.csv",
    "raw/ outer spaces ",
    "raw/Año 2024 – 同窓生.csv",
    "raw/Nin\u0303o.csv",
    "raw/100%.csv",
    "raw/a%20b%2Fc.csv",
    "raw/[draft] {1}.csv",
    "raw/a+b.csv",
    "raw/a#b.csv",
    "raw/a?b=c&d.csv",
    "raw/a\\b.csv",
    'raw/it\'s "quoted" <x> | *.csv',
    "raw/tab\tand bell\a.csv",
    "raw/.hidden",
    "raw/~$open.xlsx",
    "raw/three ... dots...",
    "raw/C:/Users/x.csv",
    "raw/--help",
    "raw/" + "deep/" * 60 + "a.csv",
]

REFUSED_KEYS = [
    "",
    "/etc/passwd",
    "../outside.csv",
    "raw/../../outside.csv",
    "raw/..",
    "raw/./a.csv",
    ".",
    "raw/..\\..\\outside.csv",
    "..\\outside.csv",
    "raw/null\0.csv",
    "raw/lone \ud800.csv",
    ".incoming/a.csv",
]


def listed(lake: Lake, prefix: str) -> list[str]:
    return sorted(entry.key for entry in lake.list(prefix))


def whole(lake: Lake) -> dict[str, bytes]:
    return {entry.key: lake.read_bytes(entry.key) for entry in lake.list("")}


def calls_on(lake: Lake, key: str) -> list[Callable[[], object]]:
    """Every call that takes a key, made with this one."""

    def copied() -> None:
        with lake.local_copy(key):
            pass

    def written() -> None:
        with lake.writing(key) as path:
            path.write_bytes(b"x")

    return [
        lambda: lake.stat(key),
        lambda: lake.read_bytes(key),
        lambda: lake.open(key),
        copied,
        lambda: lake.put_bytes(key, b"x"),
        lambda: lake.create_bytes(key, b"x"),
        written,
        lambda: lake.copy(key, "register/copy"),
        lambda: lake.copy("raw/a.csv", key),
        lambda: lake.delete(key),
    ]


def test_what_was_put_can_be_read(lake: Lake) -> None:
    lake.put_bytes("raw/a.csv", b"id,name\n1,Ana\n")
    assert lake.read_bytes("raw/a.csv") == b"id,name\n1,Ana\n"


def test_putting_again_replaces(lake: Lake) -> None:
    lake.put_bytes("raw/a.csv", b"first, and longer")
    lake.put_bytes("raw/a.csv", b"second")
    assert whole(lake) == {"raw/a.csv": b"second"}


def test_a_new_lake_lists_nothing(lake: Lake) -> None:
    assert list(lake.list("raw/")) == []
    assert list(lake.list("")) == []


def test_a_listing_goes_into_folders_and_stays_under_its_prefix(place: Place) -> None:
    for key in ("raw/a.csv", "raw/2024/b.csv", "raw/2024/05/c.csv", "rawer/d.csv", "raw.csv", "register/e"):
        place.plant(key, b"x")
    assert listed(place.lake, "raw/") == ["raw/2024/05/c.csv", "raw/2024/b.csv", "raw/a.csv"]
    assert listed(place.lake, "raw") == ["raw/2024/05/c.csv", "raw/2024/b.csv", "raw/a.csv"]
    assert listed(place.lake, "raw/2024/") == ["raw/2024/05/c.csv", "raw/2024/b.csv"]
    assert listed(place.lake, "ra/") == []
    assert len(listed(place.lake, "")) == 6


def test_an_entry_tells_key_size_etag_and_time(place: Place) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    place.plant("raw/a.csv", b"12345")
    (entry,) = place.lake.list("raw/")
    assert entry == LakeEntry("raw/a.csv", 5, entry.etag, entry.modified)
    assert entry.etag
    assert '"' not in entry.etag
    assert entry.modified.tzinfo is UTC
    assert before <= entry.modified <= datetime.now(UTC) + timedelta(seconds=2)


def test_stat_says_the_same_as_the_listing(place: Place) -> None:
    for key in ("raw/a.csv", "raw/a.csv.gz", "raw/a"):
        place.plant(key, key.encode())
    assert [place.lake.stat(entry.key) for entry in place.lake.list("raw/")] == list(place.lake.list("raw/"))
    assert len(list(place.lake.list("raw/"))) == 3


def test_the_etag_changes_with_the_content_and_only_then(place: Place) -> None:
    place.plant("raw/a.csv", b"old")
    first = place.lake.stat("raw/a.csv")
    place.lake.read_bytes("raw/a.csv")
    assert place.lake.stat("raw/a.csv") == first
    place.plant("raw/a.csv", b"new")
    second = place.lake.stat("raw/a.csv")
    assert first
    assert second
    assert first.etag != second.etag
    assert first.size == second.size


def test_a_folder_and_the_beginning_of_a_name_are_no_objects(place: Place) -> None:
    place.plant("raw/2024/a.csv", b"x")
    for key in ("raw", "raw/2024", "raw/2024/a", "raw/2024/a.csv/b", "nothing/at/all"):
        assert place.lake.stat(key) is None
        with pytest.raises(LakeKeyError):
            place.lake.read_bytes(key)


def test_what_is_absent_raises_a_key_error_that_names_it(lake: Lake) -> None:
    lake.put_bytes("raw/b.csv", b"x")
    with pytest.raises(KeyError) as reading:
        lake.read_bytes("raw/a.csv")
    with pytest.raises(LakeKeyError) as opening:
        lake.open("raw/a.csv")
    with pytest.raises(LakeKeyError) as copying:
        lake.copy("raw/a.csv", "pinned/a.csv")
    with pytest.raises(LakeKeyError) as lending, lake.local_copy("raw/a.csv"):
        pass
    messages = {str(raised.value) for raised in (reading, opening, copying, lending)}
    assert messages == {f"There is no object {lake.url('raw/a.csv')!r} in the lake."}
    assert listed(lake, "") == ["raw/b.csv"]


def test_deleting_removes_one_object_and_minds_no_absence(lake: Lake) -> None:
    lake.put_bytes("raw/a.csv", b"x")
    lake.put_bytes("raw/a.csv.gz", b"x")
    lake.delete("raw/a.csv")
    lake.delete("raw/a.csv")
    lake.delete("raw/never/was.csv")
    assert listed(lake, "raw/") == ["raw/a.csv.gz"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_names_are_names_like_any_other(place: Place, key: str) -> None:
    lake, data = place.lake, key.encode()
    place.plant(key, data)
    key = place.shown(key)
    assert listed(lake, "raw/") == [key]
    assert lake.stat(key) == next(iter(lake.list("raw/")))
    assert lake.read_bytes(key) == data
    with lake.open(key) as stream:
        assert stream.read() == data
    with lake.local_copy(key) as path:
        assert path.read_bytes() == data
    lake.copy(key, f"pinned/{key}")
    lake.delete(key)
    with lake.writing(key) as path:
        path.write_bytes(b"again")
    assert lake.create_bytes(key, b"not again") is False
    lake.put_bytes(f"{key} 2", b"2")
    assert whole(lake) == {f"pinned/{key}": data, key: b"again", f"{key} 2": b"2"}


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_names_that_lead_elsewhere_are_refused_by_every_call(place: Place, key: str) -> None:
    place.plant("raw/a.csv", b"x")
    for call in calls_on(place.lake, key):
        with pytest.raises(LakeError, match="refuses the key"):
            call()
    assert whole(place.lake) == {"raw/a.csv": b"x"}


@pytest.mark.parametrize("key", ["raw//a.csv", "raw/a.csv/", "a//"])
def test_nothing_is_written_under_a_name_with_an_empty_segment(lake: Lake, key: str) -> None:
    with pytest.raises(LakeError, match="empty segment"):
        lake.put_bytes(key, b"x")
    with pytest.raises(LakeError, match="empty segment"):
        lake.create_bytes(key, b"x")
    with pytest.raises(LakeError, match="empty segment"), lake.writing(key):
        pass
    assert listed(lake, "") == []


@pytest.mark.parametrize("prefix", ["..", "../", "raw/../..", "/", "/etc/", "raw//"])
def test_prefixes_that_lead_elsewhere_are_refused(lake: Lake, prefix: str) -> None:
    with pytest.raises(LakeError, match="refuses the key"):
        list(lake.list(prefix))


def test_an_empty_object_is_an_object(lake: Lake) -> None:
    lake.put_bytes("raw/put", b"")
    assert lake.create_bytes("raw/created", b"") is True
    with lake.writing("raw/written") as path:
        path.touch()
    lake.copy("raw/put", "raw/copied")
    assert whole(lake) == {"raw/put": b"", "raw/created": b"", "raw/written": b"", "raw/copied": b""}
    assert {entry.size for entry in lake.list("raw/")} == {0}
    with lake.open("raw/put") as stream:
        assert stream.read() == b""
        assert stream.read(1) == b""
    with lake.local_copy("raw/put") as copy:
        assert copy.read_bytes() == b""


def test_creating_succeeds_once(lake: Lake) -> None:
    assert lake.create_bytes("register/a.json", b"first") is True
    assert lake.create_bytes("register/a.json", b"second") is False
    assert lake.create_bytes("register/a.json", b"first") is False
    assert whole(lake) == {"register/a.json": b"first"}


def test_a_deleted_key_can_be_created_again(lake: Lake) -> None:
    lake.create_bytes("register/a.json", b"first")
    lake.delete("register/a.json")
    assert lake.create_bytes("register/a.json", b"second") is True
    assert lake.read_bytes("register/a.json") == b"second"


def test_of_many_who_create_the_same_key_exactly_one_succeeds(lake: Lake) -> None:
    writers, rounds = 4, 5
    gate = threading.Barrier(writers)

    def create(writer: int) -> list[bool]:
        outcomes = []
        for number in range(rounds):
            gate.wait()
            outcomes.append(lake.create_bytes(f"register/{number}.json", f"writer {writer}".encode()))
        return outcomes

    with ThreadPoolExecutor(writers) as threads:
        outcomes = list(threads.map(create, range(writers)))
    for number in range(rounds):
        winners = [writer for writer in range(writers) if outcomes[writer][number]]
        assert len(winners) == 1
        assert lake.read_bytes(f"register/{number}.json") == f"writer {winners[0]}".encode()


def test_a_reader_sees_the_old_content_or_the_new_but_never_a_part(lake: Lake) -> None:
    contents = [bytes([number]) * 100_000 for number in (1, 2)]
    lake.put_bytes("published/report", contents[0])
    done = threading.Event()

    def rewrite() -> None:
        for number in range(30):
            with lake.writing("published/report") as path:
                path.write_bytes(contents[number % 2])
        done.set()

    with ThreadPoolExecutor(1) as threads:
        rewriting = threads.submit(rewrite)
        while not rewriting.done():
            assert lake.read_bytes("published/report") in contents
    assert done.is_set()


def test_a_file_being_written_becomes_an_object_only_at_the_end(place: Place) -> None:
    with place.lake.writing("valid/a.parquet") as path:
        assert not path.exists()
        assert path.suffix == ".parquet"
        path.write_bytes(b"half")
        assert whole(place.lake) == {}
        path.write_bytes(b"whole")
    assert whole(place.lake) == {"valid/a.parquet": b"whole"}
    assert list(place.spool.iterdir()) == []


def test_an_exception_while_writing_leaves_the_object_as_it_was(place: Place) -> None:
    def fail(key: str) -> None:
        with place.lake.writing(key) as path:
            path.write_bytes(b"half")
            raise FileNotFoundError("mine")

    place.plant("valid/a.parquet", b"before")
    for key in ("valid/a.parquet", "valid/b.parquet"):
        with pytest.raises(FileNotFoundError, match="mine"):
            fail(key)
    assert whole(place.lake) == {"valid/a.parquet": b"before"}
    assert list(place.spool.iterdir()) == []


def test_writing_nothing_is_an_error(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"Writing .* failed: No such file"), lake.writing("valid/a.parquet"):
        pass
    assert listed(lake, "") == []


def test_side_files_of_a_writer_go_with_it(place: Place) -> None:
    with place.lake.writing("published/alumni.duckdb") as path:
        path.write_bytes(b"database")
        path.with_suffix(".wal").write_bytes(b"log")
    assert whole(place.lake) == {"published/alumni.duckdb": b"database"}
    assert list(place.spool.iterdir()) == []


KILLED_WRITER = """
import sys, time
from pathlib import Path
from alumni_assets.resources.lake import LakeResource
with LakeResource(location=sys.argv[1], spool=sys.argv[2]).lake().writing("valid/a.parquet") as path:
    path.write_bytes(b"half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_nothing_visible_and_is_swept_up_after_a_day(place: Place) -> None:
    command = [sys.executable, "-c", KILLED_WRITER, place.location, str(place.spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert whole(place.lake) == {}
    (leftover,) = place.spool.iterdir()
    assert place.lake.sweep() == 0

    yesterday = datetime.now().timestamp() - 25 * 3600
    os.utime(leftover, (yesterday, yesterday))
    assert place.lake.sweep() == 0  # somebody may still be writing into its file
    for file in leftover.iterdir():
        os.utime(file, (yesterday, yesterday))
    assert place.lake.sweep() == 1
    assert list(place.spool.iterdir()) == []


def test_where_nobody_is_at_work_a_folder_is_swept_of_everything(folder_place: FolderPlace) -> None:
    (folder_place.spool / "alumni-lake-dead").mkdir(parents=True)
    (folder_place.spool / "alumni-lake-dead" / "object").write_bytes(b"half")
    assert folder_place.lake.sweep() == 0
    assert folder_place.lake.sweep(everything=True) == 1
    assert list(folder_place.spool.iterdir()) == []


def test_without_versions_there_is_nothing_to_forget(place: Place) -> None:
    place.lake.put_bytes("valid/a", b"1")
    place.lake.put_bytes("valid/a", b"2")
    assert place.lake.forget_earlier("valid/") == 0
    assert whole(place.lake) == {"valid/a": b"2"}


def test_sweeping_leaves_other_peoples_files_alone(place: Place) -> None:
    place.spool.mkdir()
    other = place.spool / "something-else"
    other.mkdir()
    os.utime(other, (0, 0))
    assert place.lake.sweep() == 0
    assert other.is_dir()


def test_twenty_megabytes_stream_through(lake: Lake) -> None:
    block = hashlib.sha256(b"seed").digest() * 32768
    digest = hashlib.sha256()
    with lake.writing("pinned/large.csv") as path, path.open("wb") as file:
        for number in range(20):
            part = number.to_bytes(4) + block[4:]
            digest.update(part)
            file.write(part)
    entry = lake.stat("pinned/large.csv")
    assert entry
    assert entry.size == 20 * 1024**2

    with lake.open("pinned/large.csv") as stream:
        assert hashlib.file_digest(stream, "sha256").digest() == digest.digest()
    lake.copy("pinned/large.csv", "archive/large.csv")
    with lake.local_copy("archive/large.csv") as copy, copy.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


def test_a_stream_can_be_read_line_by_line_and_rewound(lake: Lake) -> None:
    lake.put_bytes("raw/a.csv", b"one\ntwo\nthree")
    with lake.open("raw/a.csv") as stream:
        assert stream.readline() == b"one\n"
        assert list(stream) == [b"two\n", b"three"]
        assert stream.seek(-5, io.SEEK_END) == 8
        assert stream.read(2) == b"th"
        assert stream.tell() == 10
        assert stream.seek(4) == 4
        assert stream.read() == b"two\nthree"
        assert stream.seek(100) == 100
        assert stream.read() == b""


def test_a_stream_reads_compressed_tables_as_pyarrow_and_gzip_do(lake: Lake) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": [1, 2], "name": ["Ana", "José"]})
    with lake.writing("valid/a.parquet") as path:
        pq.write_table(table, path)
    with lake.open("valid/a.parquet") as stream:
        assert pq.read_table(stream) == table
    lake.put_bytes("raw/a.csv.gz", gzip.compress(b"id\n1\n"))
    with lake.open("raw/a.csv.gz") as stream, gzip.open(stream) as text:
        assert text.read() == b"id\n1\n"


def test_a_local_copy_ends_as_its_key_does(lake: Lake) -> None:
    lake.put_bytes("raw/May answers.csv.gz", b"x")
    with lake.local_copy("raw/May answers.csv.gz") as path:
        assert path.suffixes == [".csv", ".gz"]


def test_a_copy_is_independent_of_its_source_and_replaces_its_target(lake: Lake) -> None:
    lake.put_bytes("raw/a.csv", b"original")
    lake.put_bytes("pinned/a.csv", b"to be replaced")
    lake.copy("raw/a.csv", "pinned/a.csv")
    lake.put_bytes("raw/a.csv", b"edited")
    assert whole(lake) == {"raw/a.csv": b"edited", "pinned/a.csv": b"original"}


def test_a_copy_may_ask_for_a_storage_class(lake: Lake) -> None:
    lake.put_bytes("transformed/a.parquet", b"x")
    lake.copy("transformed/a.parquet", "archive/2024-05-01/a.parquet", storage_class="DEEP_ARCHIVE")
    assert listed(lake, "archive/") == ["archive/2024-05-01/a.parquet"]


def test_the_url_says_where_an_object_is(place: Place) -> None:
    assert place.lake.url("raw/a b.csv") == f"{place.location}/raw/a b.csv"


def test_two_lakes_at_the_same_place_are_the_same_lake(place: Place) -> None:
    place.lake.put_bytes("raw/a.csv", b"x")
    other = LakeResource(location=f"{place.location}/").lake()
    assert whole(other) == {"raw/a.csv": b"x"}


def test_a_lake_that_is_not_there_is_an_error_for_every_call(place: Place) -> None:
    place.plant("raw/a.csv", b"x")
    place.remove()
    calls = [lambda: list(place.lake.list("raw/")), *calls_on(place.lake, "raw/a.csv")]
    for call in calls:
        with pytest.raises(LakeError, match=r"does not exist|NoSuchBucket") as raised:
            call()
        assert not isinstance(raised.value, KeyError)
        assert "ALUMNI_LAKE" in str(raised.value)
    assert not Path(place.location).exists()
