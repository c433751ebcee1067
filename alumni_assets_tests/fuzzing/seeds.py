"""What a fuzzer begins with: the small ones of the hostile uploads, and corrections, as inputs of `target.py`.

    python -m alumni_assets_tests.fuzzing.seeds FOLDER

writes them into a folder, each under the hash of its content. `corpus/` has the fewest and smallest of these, and of
what was found since, that reach as much of the code; `make fuzz-corpus` makes it anew.
"""

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ..pipeline.answers import answer, csv_bytes
from ..pipeline.hostile_uploads import HOSTILE_UPLOADS, content_of
from .target import SHEET, STRINGS, TERM

LONGEST = 4096


def seeds() -> Iterator[bytes]:
    """Every input to begin with."""
    for position, upload in enumerate(HOSTILE_UPLOADS):
        content, name = content_of(position), upload.name.lower()
        if name.endswith(".xlsx"):
            yield b"x" + content
            yield from _parts(content)
        else:
            yield (b"z" if name.endswith(".gz") else b"c") + content
    yield from (b"c" + content for content in _corrections())


def _parts(content: bytes) -> Iterator[bytes]:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for kind, part in ((b"s", SHEET), (b"t", STRINGS)):
            if part in book.namelist():
                yield kind + book.read(part)


def _corrections() -> Iterator[bytes]:
    """Corrections of `TERM`, as they may come; at the end some that are rejected."""
    header = ("_upload", "_row", "Employee_ID", "Employee_Name", "Email", "Performance_Rating")
    for rows in ([2], [2, 3, 4], [2, 2], [9], ["'2", "x"]):
        mended = [{**answer(7), "_upload": TERM, "_row": str(row)} for row in rows]
        yield csv_bytes(mended, header=header)
        yield csv_bytes(mended, header=header[:2], delimiter=";", encoding="utf-8-sig")
        yield csv_bytes(mended, header=(*header, "_problems", "Mood"), newline="\r\n")
    some = {"_row": "2", "_upload": TERM}
    yield csv_bytes([some | {"_upload": "@0a1b2c3d"}], header=header)
    yield csv_bytes([some | {"_upload": "other.csv@00000000"}], header=header)
    yield csv_bytes([some, some | {"_upload": "other.csv@00000000"}], header=header)
    yield csv_bytes([some], header=header[1:])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        if len(seed) <= LONGEST:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
