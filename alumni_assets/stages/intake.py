"""Intake: from an object under raw/ to a pinned copy and an entry in the register.

Whatever happens under raw/ afterwards changes nothing: all later stages read the pinned copy.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from alumni_assets import layout
from alumni_assets.contract import BY_NAME, NAMES, Contract
from alumni_assets.register import Register, next_number
from alumni_assets.resources.lake_interface import Lake, LakeKeyError
from alumni_assets.stages.hashing import sha256_of
from alumni_assets.survey.detection import FileFormat, Header
from alumni_assets.survey.equal_content import same_content
from alumni_assets.survey.errors import UnreadableUploadError
from alumni_assets.survey.naming import upload_id
from alumni_assets.survey.quarantine import LIVE_CORRECTIONS, corrections_by_upload
from alumni_assets.survey.standing import (
    NO_OPEN_ROWS,
    Arrival,
    Facts,
    Ingested,
    Seen,
    Status,
    standings_of,
)
from alumni_assets.survey_rules import LimitRules

if TYPE_CHECKING:
    from alumni_assets.stages.validation import Validated

RECENT_SECONDS = 10.0
"""For how long a run that works on many uploads goes by what it read of the register."""

_COPIED_AT_ONCE = 4 << 20
_INSTANT = timedelta(microseconds=1)
_CLOCK_SET_BACK = timedelta(days=2)


class UploadChangedError(Exception):
    """The object under raw/ changed while it was read; the next pass takes it when it is complete."""


class PinnedCopyError(Exception):
    """The pinned copy of an upload is missing or is not what was pinned."""


@dataclass(frozen=True)
class Arrived:
    """An upload that has been pinned and entered in the register.

    `is_unchanged`: the key had this very content when it was last taken in; it was only touched or put again.
    """

    seen: Seen
    is_unchanged: bool


def pin(lake: Lake, register: Register, key: str, now: datetime, checked: str | None = None) -> Arrived:
    """Pin the object at `raw/<key>` and enter it in the register; `key` is the part after raw/.

    `now` is in UTC; an upload is received after all that were received before, also where the clock was set back in
    between. `checked` is the SHA-256 of the content in which is nobody who was erased (see `keeping_out.py`).
    Doing it again changes nothing. Raises `UploadChangedError` when the object changed on the way, and `LakeKeyError`
    when it is gone.
    """
    source = layout.RAW + key
    before = lake.stat(source)
    if before is None:
        raise LakeKeyError(f"{lake.url(source)} is gone; put the file there again.")
    facts = register.facts(RECENT_SECONDS)
    known = {seen.upload: seen.sha256 for seen in facts.seen.values() if seen.key == key}
    with lake.local_copy(source) as path:
        sha256 = sha256_of(path)
        if facts.erasures and checked != sha256:
            raise UploadChangedError(f"{lake.url(source)} changed after it was looked through for erased persons.")
        upload = _known_id(sha256, known, facts.arrivals.get(key, ())) or _free_id(key, sha256, known)
        size = _copy_once(lake, path, layout.pinned_key(upload), sha256)
    after = lake.stat(source)
    if after is not None and (after.etag, after.size) != (before.etag, before.size):
        raise UploadChangedError(f"{lake.url(source)} changed while it was read.")
    seen = register.enter_seen(Seen(upload, key, sha256, size, _after_all(facts, now)))
    while True:
        log = facts.arrivals.get(key, ())
        last = next((arrival for arrival in reversed(log) if arrival.etag is not None), None)
        is_last = last is not None and last.upload == seen.upload
        is_entered = last is not None and is_last and (last.etag, last.size) == (before.etag, size)
        arrival = Arrival(key, next_number(log), seen.upload, before.etag, size, now)
        if is_entered or register.append_next(arrival):
            return Arrived(seen, is_unchanged=is_last and seen.upload in facts.ingested)
        facts = register.facts()  # somebody else takes in the same just now


def inspect(lake: Lake, seen: Seen, limits: LimitRules) -> FileFormat | UnreadableUploadError:
    """The format of a pinned upload, or why it cannot be read."""
    try:
        with lake.local_copy(layout.pinned_key(seen.upload)) as path:
            if path.stat().st_size != seen.size:
                raise PinnedCopyError(
                    f"The pinned copy of {seen.upload} has {path.stat().st_size:,} bytes instead of "
                    f"{seen.size:,}. Restore {lake.url(layout.pinned_key(seen.upload))} from a backup."
                )
            from alumni_assets.survey.reading import detect  # imports Arrow

            return detect(seen.key, path, limits)
    except LakeKeyError as error:
        raise PinnedCopyError(
            f"The pinned copy of {seen.upload} is gone. `alumni restore` brings it back where it was archived; else "
            "restore it from a backup, or delete the upload's entry in the register and upload the file again."
        ) from error
    except UnreadableUploadError as unreadable:
        return unreadable


def duplicate_of(register: Register, seen: Seen, now: datetime) -> Ingested | None:
    """Whether an upload only repeats another; returns what to enter then.

    Content equal to an upload that counts or waits, under another name, is a duplicate, also where this one was seen
    before it and its intake broke off. Content equal to one that was only superseded revives that one. Content equal
    to a rejected or withdrawn one, or to a correction that fell, is judged on its own: it may be acceptable now, and
    a person decides about it anyway.
    """
    facts = register.facts(RECENT_SECONDS)
    others = same_content(facts, seen.upload)
    stands = standings_of(facts, others)
    for other in others:
        if stands[other].is_alive:
            return repetition(seen, other, now)
    for other in others:
        if seen.upload not in facts.ingested and not _is_before(facts.seen[other], seen):
            continue
        may_return = not facts.corrects(other) and not facts.is_withdrawn(other)
        if stands[other].status is Status.SUPERSEDED and may_return:
            original = facts.seen[other]
            register.append_arrival(Arrival(original.key, 0, other, None, original.size, now))
            return _duplicate(seen, other, now, f"The same content as {other}, which waits for approval again.")
    return None


def repetition(seen: Seen, other: str, now: datetime) -> Ingested:
    """What to enter for an upload that has the content of another which counts or waits."""
    return _duplicate(seen, other, now, f"The same content as {other}; it changes nothing.")


def is_stored(lake: Lake, ingested: Ingested) -> bool:
    """Whether the tables that an upload was judged into are in the lake."""
    if ingested.outcome != Status.VALIDATED:
        return True
    keys = (layout.valid_key(ingested.upload), layout.invalid_key(ingested.upload))
    return all(lake.stat(key) is not None for key in keys)


def repeated_correction(register: Register, seen: Seen, corrects: str, fingerprint: str) -> Ingested | None:
    """Whether a correction has the very rows of the last one of that upload, in another file; what to enter then."""
    facts = register.facts(RECENT_SECONDS)
    stands = standings_of(facts, corrections := corrections_by_upload(facts).get(corrects, []))
    live = [some for some in corrections if some != seen.upload and stands[some].status in LIVE_CORRECTIONS]
    last = max(live, key=lambda some: (facts.seen[some].received_at, some), default=None)
    if last is None or not _is_before(facts.seen[last], seen) or facts.ingested[last].fingerprint != fingerprint:
        return None
    return _duplicate(seen, last, utc_now(), f"The same rows as {last}; it changes nothing.")


def has_correction_files(lake: Lake, upload: str) -> bool:
    """Whether the files for the reviewer are in the lake."""
    return all(lake.stat(layout.correction_key(upload, suffix)) is not None for suffix in ("xlsx", "csv"))


def header_of(lake: Lake, seen: Seen, limits: LimitRules) -> Header:
    """The header of a pinned upload; the contract's own where the file is gone, or cannot be read any more.

    So rows that were set aside can be given out to be corrected also where nothing else is left of the upload.
    """
    if lake.stat(layout.pinned_key(seen.upload)) is not None:
        found = inspect(lake, seen, limits)
        if isinstance(found, FileFormat):
            return found.header
    return Header(tuple(BY_NAME[name].header for name in NAMES), NAMES)


def write_correction_files(lake: Lake, upload: str, header: Header, contract: Contract, invalid: int) -> None:
    """Store the invalid rows of an upload as files for the reviewer; without any, remove what was there.

    `header` is the upload's. Doing it again stores the same.
    """
    from alumni_assets.stages.streaming import stored_batches  # imports Arrow, like the next
    from alumni_assets.survey import correction_files

    xlsx, csv = (layout.correction_key(upload, "xlsx"), layout.correction_key(upload, "csv"))
    if not invalid:
        lake.delete(xlsx)
        lake.delete(csv)
        return
    with (
        lake.local_copy(layout.invalid_key(upload)) as rows,
        lake.writing(xlsx) as workbook,
        lake.writing(csv) as text,
    ):
        correction_files.write_correction_files(lambda: stored_batches(rows), header, contract, workbook, text)


def preview_of_format(file_format: FileFormat) -> Mapping[str, str]:
    """What was found out about a file, for people."""
    names = {"windows-1252": "Windows-1252", "utf-8": "UTF-8"}
    delimiters = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
    if file_format.kind == "workbook":
        return {"kind": "workbook, first sheet"}
    return {
        "kind": "text" + (", compressed" if file_format.compressed else ""),
        "encoding": names.get(file_format.encoding, file_format.encoding.upper())
        + (" with byte-order mark" if file_format.byte_order_mark else ""),
        "delimiter": delimiters[file_format.delimiter],
    }


def judged_entry(
    seen: Seen,
    file_format: FileFormat,
    result: "Validated",
    contract: Contract,
    failed: Sequence[str],
    earlier: Ingested | None,
) -> Ingested:
    """The register's entry of an upload that was judged; `earlier` is the one that it replaces.

    `failed` names the blocking checks that failed; to those comes `no_open_rows` where too many rows are invalid.
    """
    now, limit = utc_now(), contract.rules.checks.max_invalid_share
    is_same = earlier is not None and earlier.content == result.content
    is_too_much = not result.corrects and result.invalid > limit * result.rows
    return Ingested(
        seen.upload,
        Status.VALIDATED,
        now,
        rows=result.rows,
        valid=result.valid,
        invalid=result.invalid,
        contract=contract.hash,
        content=result.content,
        content_at=earlier.content_at if earlier is not None and is_same else now,
        invalid_content=result.invalid_content,
        failed_checks=(*failed, NO_OPEN_ROWS) if is_too_much else tuple(failed),
        max_open_share=limit,
        reasons={f"{header}:{code}": count for (header, code), count in result.reasons.items()},
        header_record=file_format.header_record,
        corrects=result.corrects,
        against=result.against,
        mends=result.mends,
        wrong=result.wrong,
        strays=result.strays,
        fingerprint=result.fingerprint,
    )


def utc_now() -> datetime:
    """Now in UTC, without zone: the register's times."""
    return datetime.now(UTC).replace(tzinfo=None)


def _copy_once(lake: Lake, source: Path, target: str, sha256: str) -> int:
    """Copy a file into the lake unless it is there already, and make sure that it is the file hashed.

    What is there in another size is damaged, and replaced.
    """
    existing, size = lake.stat(target), source.stat().st_size
    if existing is not None and existing.size == size:
        return size
    with lake.writing(target) as copy:
        digest = hashlib.sha256()
        with source.open("rb") as reader, copy.open("wb") as writer:
            while chunk := reader.read(_COPIED_AT_ONCE):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())  # the register is about to name it, and its file may go from raw/
        if digest.hexdigest() != sha256:
            raise UploadChangedError("The file changed while it was copied.")
        return copy.stat().st_size


def _duplicate(seen: Seen, other: str, now: datetime, reason: str) -> Ingested:
    return Ingested(seen.upload, Status.DUPLICATE, now, reason=reason, duplicate_of=other)


def _is_before(one: Seen, other: Seen) -> bool:
    return (one.received_at, one.upload) < (other.received_at, other.upload)


def _after_all(facts: Facts, now: datetime) -> datetime:
    """The time now, or just after the upload that was received last, where the clock seems to have been set back.

    A clock that was ahead by more than `_CLOCK_SET_BACK` is not followed: uploads would bear its times for too long.
    """
    last = max((seen.received_at for seen in facts.seen.values()), default=now)
    return last + _INSTANT if timedelta() <= last - now < _CLOCK_SET_BACK else now


def _known_id(sha256: str, known: Mapping[str, str], log: Sequence[Arrival]) -> str | None:
    """The upload under this key that has this content now: its id may tell of the one before an erasure.

    Where an erasure has made contents equal, it is the one that was last found at the key.
    """
    found = {arrival.upload: arrival.number for arrival in log if arrival.etag is not None}
    equal = [upload for upload, content in known.items() if content == sha256]
    return max(equal, key=lambda upload: found.get(upload, 0), default=None)


def _free_id(key: str, sha256: str, known: Mapping[str, str]) -> str:
    """Eight digits of the hash, and more where they are taken by other content under the same key."""
    for digits in (8, 16, 64):
        upload = upload_id(key, sha256, digits)
        if known.get(upload, sha256) == sha256:
            return upload
    raise AssertionError("two contents with one SHA-256")
