"""What only a folder has: links, pipes, undecodable names, owners, and files that others write in place."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alumni_assets.resources.lake import FolderLake, Lake, LakeError, LakeKeyError

from .conftest import FolderPlace


@pytest.fixture
def root(folder_place: FolderPlace) -> Path:
    (folder_place.root / "raw").mkdir()
    return folder_place.root


@pytest.fixture
def lake(folder_place: FolderPlace) -> Lake:
    return folder_place.lake


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the lake, with a file that is none of its business."""
    folder = tmp_path / "lake-of-others"
    folder.mkdir()
    (folder / "secret.txt").write_bytes(b"secret")
    return folder


def listed(lake: Lake, prefix: str) -> list[str]:
    return sorted(entry.key for entry in lake.list(prefix))


@pytest.mark.parametrize("name", [b"two\nlines.csv", b"latin-1 \xf1\xff.csv", b"\r", b"\x7f\x01", b"-\n"])
def test_names_with_line_breaks_and_undecodable_bytes_are_handled(lake: Lake, root: Path, name: bytes) -> None:
    (root / "raw/plain.csv").write_bytes(b"plain")
    key = f"raw/{os.fsdecode(name)}"
    (root / key).write_bytes(b"odd")

    assert set(listed(lake, "raw/")) == {"raw/plain.csv", key}
    entry = lake.stat(key)
    assert entry
    assert (entry.key, entry.size) == (key, 3)
    assert lake.read_bytes(key) == b"odd"
    lake.copy(key, "pinned/safe name")
    assert lake.read_bytes("pinned/safe name") == b"odd"
    lake.put_bytes(key, b"new")
    with lake.local_copy(key) as path:
        assert path.read_bytes() == b"new"
    lake.url(key).encode()
    lake.delete(key)
    assert listed(lake, "raw/") == ["raw/plain.csv"]


def test_an_undecodable_name_is_shown_with_its_bytes_escaped(lake: Lake, root: Path) -> None:
    assert lake.url(os.fsdecode(b"raw/a\xff.csv")) == f"{root}/raw/a\\xff.csv"
    with pytest.raises(LakeKeyError, match="raw/a") as raised:
        lake.read_bytes(os.fsdecode(b"raw/a\xff.csv"))
    str(raised.value).encode()


def test_a_link_to_a_file_in_the_lake_counts_as_that_file(lake: Lake, root: Path) -> None:
    (root / "raw/a.csv").write_bytes(b"content")
    (root / "raw/same.csv").symlink_to("a.csv")
    assert listed(lake, "raw/") == ["raw/a.csv", "raw/same.csv"]
    assert lake.stat("raw/same.csv") in list(lake.list("raw/"))
    assert lake.read_bytes("raw/same.csv") == b"content"
    lake.delete("raw/same.csv")
    assert lake.read_bytes("raw/a.csv") == b"content"


def test_writing_over_a_link_replaces_the_link_and_not_what_it_leads_to(lake: Lake, root: Path) -> None:
    (root / "raw/a.csv").write_bytes(b"content")
    (root / "raw/same.csv").symlink_to("a.csv")
    lake.put_bytes("raw/same.csv", b"new")
    assert (root / "raw/a.csv").read_bytes() == b"content"
    assert not (root / "raw/same.csv").is_symlink()


def test_links_to_nothing_and_to_themselves_hide_nothing_else(lake: Lake, root: Path) -> None:
    (root / "raw/a.csv").write_bytes(b"content")
    (root / "raw/dangling.csv").symlink_to("nowhere.csv")
    (root / "raw/circle.csv").symlink_to("circle.csv")
    (root / "raw/up").symlink_to("..")
    (root / "raw/here").symlink_to(".")
    assert listed(lake, "raw/") == ["raw/a.csv"]


def test_links_out_of_the_lake_are_neither_listed_nor_followed(lake: Lake, root: Path, outside: Path) -> None:
    (root / "raw/file.csv").symlink_to(outside / "secret.txt")
    (root / "raw/folder").symlink_to(outside)
    (root / "raw/system").symlink_to("/etc")
    assert listed(lake, "raw/") == []
    for key in ("raw/file.csv", "raw/folder/secret.txt", "raw/folder/new.txt"):
        for call in (lake.stat, lake.read_bytes, lake.open, lake.delete):
            with pytest.raises(LakeError, match="leads out of the lake"):
                call(key)
        with pytest.raises(LakeError, match="leads out of the lake"):
            lake.put_bytes(key, b"x")
        with pytest.raises(LakeError, match="leads out of the lake"):
            lake.create_bytes(key, b"x")
        with pytest.raises(LakeError, match="leads out of the lake"):
            lake.copy(key, "pinned/a.csv")
    assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("secret.txt", b"secret")]


def test_a_lakes_own_folder_that_leads_out_is_an_error_and_not_empty(lake: Lake, root: Path, outside: Path) -> None:
    (root / "raw").rmdir()
    (root / "raw").symlink_to(outside)
    with pytest.raises(LakeError, match="leads out of the lake"):
        list(lake.list("raw/"))


def test_unfinished_files_are_not_written_through_a_link(lake: Lake, root: Path, outside: Path) -> None:
    (root / ".incoming").symlink_to(outside)
    with pytest.raises(LakeError, match="leads out of the lake"):
        lake.put_bytes("raw/a.csv", b"x")
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]


def test_the_lake_itself_may_be_reached_through_a_link(lake: Lake, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    other = FolderLake(tmp_path / "link")
    other.put_bytes("raw/a.csv", b"x")
    assert listed(other, "raw/") == listed(lake, "raw/") == ["raw/a.csv"]
    assert other.url("raw/a.csv") == f"{tmp_path}/link/raw/a.csv"


def test_pipes_and_sockets_are_no_objects_and_keep_nobody_waiting(
    lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "raw/pipe.csv")
    monkeypatch.chdir(root / "raw")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.csv")
        assert listed(lake, "raw/") == []
        for key in ("raw/pipe.csv", "raw/socket.csv"):
            assert lake.stat(key) is None
            with pytest.raises(LakeKeyError):
                lake.read_bytes(key)


def test_new_files_and_folders_are_their_owners_alone(lake: Lake, root: Path) -> None:
    before = os.umask(0)
    try:
        lake.put_bytes("put/in/a", b"x")
        lake.create_bytes("created/in/a", b"x")
        lake.copy("put/in/a", "copied/in/a")
        with lake.writing("written/in/a") as path:
            path.write_bytes(b"x")
            path.chmod(0o666)
    finally:
        os.umask(before)
    for folder in ("put", "created", "copied", "written"):
        modes = [(root / folder / below).stat().st_mode & 0o777 for below in ("", "in", "in/a")]
        assert modes == [0o700, 0o700, 0o600]
    assert (root / ".incoming").stat().st_mode & 0o777 == 0o700


def test_what_names_other_objects_is_on_the_disk_before_it_takes_its_name(
    lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, flushed = os.fsync, []

    def noted(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size, listed(lake, "register/")))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    lake.put_bytes("register/put.json", b"{}")
    lake.create_bytes("register/created.json", b"[1]")
    put, created = (root / "register" / name for name in ("put.json", "created.json"))
    assert flushed == [(put.stat().st_ino, 2, []), (created.stat().st_ino, 3, ["register/put.json"])]


def test_folders_that_were_there_keep_their_mode(lake: Lake, root: Path) -> None:
    (root / "raw").chmod(0o2775)
    lake.put_bytes("raw/a.csv", b"x")
    assert (root / "raw").stat().st_mode & 0o7777 == 0o2775


def test_an_overwrite_of_equal_size_and_time_changes_the_etag(lake: Lake, root: Path) -> None:
    path = root / "raw/a.csv"
    path.write_bytes(b"old")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    first = lake.stat("raw/a.csv")
    path.write_bytes(b"new")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    second = lake.stat("raw/a.csv")
    assert first
    assert second
    assert first.modified == second.modified == datetime.fromtimestamp(1_700_000_000, UTC)
    assert first.etag != second.etag


def test_a_local_copy_is_the_file_itself(lake: Lake, root: Path) -> None:
    lake.put_bytes("raw/a.csv", b"x")
    with lake.local_copy("raw/a.csv") as path:
        assert path == root / "raw/a.csv"
    assert path.exists()


def test_unfinished_files_are_not_listed(lake: Lake) -> None:
    with lake.writing("raw/a.csv") as path:
        path.write_bytes(b"half")
        assert listed(lake, "") == []


def test_a_folder_of_the_same_name_elsewhere_is_listed(lake: Lake, root: Path) -> None:
    (root / "raw/.incoming").mkdir()
    (root / "raw/.incoming/a.csv").write_bytes(b"x")
    assert listed(lake, "") == ["raw/.incoming/a.csv"]


def test_a_file_where_a_folder_should_be_is_an_error_in_listing_and_writing(lake: Lake, root: Path) -> None:
    (root / "register").write_bytes(b"a file")
    with pytest.raises(LakeError, match=r"Listing .*register/?' failed: Not a directory"):
        list(lake.list("register/"))
    with pytest.raises(LakeError, match=r"Creating .*register/a.json' failed"):
        lake.create_bytes("register/a.json", b"x")


def test_a_folder_where_a_file_should_be_is_an_error_in_writing_and_deleting(lake: Lake, root: Path) -> None:
    with pytest.raises(LakeError, match=r"Writing .*raw' failed: Is a directory"):
        lake.put_bytes("raw", b"x")
    with pytest.raises(LakeError, match=r"Deleting .*raw' failed"):
        lake.delete("raw")
    assert (root / "raw").is_dir()


def test_a_name_that_is_too_long_for_the_disk_is_an_error(lake: Lake) -> None:
    with pytest.raises(LakeError, match="File name too long"):
        lake.put_bytes("raw/" + "a" * 300, b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_an_error_and_not_empty(lake: Lake, root: Path) -> None:
    (root / "raw/closed").mkdir(mode=0o000)
    with pytest.raises(LakeError, match=r"Listing .*raw/closed/?' failed: Permission denied"):
        list(lake.list("raw/"))


def test_a_listing_error_is_raised(lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.scandir", fail)
    with pytest.raises(LakeError, match=r"Listing .*raw/?' failed: Input/output error"):
        list(lake.list("raw/"))


def test_files_that_go_while_being_listed_are_left_out(lake: Lake, root: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (root / "raw" / name).write_bytes(b"x")
    (root / "raw/folder").mkdir()
    listing = lake.list("raw/")
    first = next(listing)
    for path in (root / "raw").iterdir():
        path.rmdir() if path.is_dir() else path.unlink()
    assert [entry.key for entry in listing] == []
    assert first.key in {"raw/a.csv", "raw/b.csv", "raw/c.csv"}


def test_a_full_disk_is_an_error_and_leaves_nothing(lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    lake.put_bytes("raw/a.csv", b"x")
    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(LakeError, match="No space left on device"):
        lake.copy("raw/a.csv", "pinned/a.csv")
    assert listed(lake, "") == ["raw/a.csv"]
    assert list((root / ".incoming").iterdir()) == []


def test_an_object_that_is_deleted_between_look_and_opening_is_missing(
    folder_place: FolderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_place.plant("valid/a.parquet", b"rows")
    looked_up = folder_place.lake.stat("valid/a.parquet")
    folder_place.lake.delete("valid/a.parquet")
    monkeypatch.setattr(folder_place.lake, "stat", lambda key: looked_up)
    with pytest.raises(LakeKeyError):
        folder_place.lake.open("valid/a.parquet")
