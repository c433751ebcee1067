"""Generated inputs: survey files, made by the product's own generator, and transformed uploads of many alumni.

Survey files are kept for the next measurement. They are named by what they were made with, the generator included,
so that they are made anew once that changes.
"""

import hashlib
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alumni_assets.contract import VOCABULARY_COLUMNS, default_contract
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA
from alumni_assets.survey import sampling

_FIRST_UPLOAD = datetime(2026, 1, 1)
_ROW_GROUP = 200_000


def survey(cache: Path, rows: int, bad: float, doubled: float = 0.0, seed: int = 0) -> Path:
    """A CSV file of `rows` rows in the folder `cache`; made unless it is there.

    `bad` is the share of rows with one spoiled cell. `doubled` is the share that repeats an earlier row: exact
    duplicates, as they come from a form that was sent twice.
    """
    repeats = round(rows * doubled)
    path = cache / f"survey-{rows}-{bad:g}-{doubled:g}-{seed}-{_generator()}.csv"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        sampling.write_sample(part, rows - repeats, bad, seed, default_contract())
        _repeat(part, repeats)
        part.rename(path)
    return path


def warmed(path: Path) -> Path:
    """The file itself, once it has been read, so that no contender is the first to fetch it from the disk."""
    with path.open("rb") as stream:
        while stream.read(1 << 22):
            pass
    return path


def transformed_uploads(lake: Path, alumni: int, uploads: int) -> None:
    """Transformed uploads in a lake's folder: so many that are about equally large, each alumnus in one of them."""
    bounds = np.linspace(1, alumni + 1, uploads + 1).astype(np.int64)
    for number, (first, end) in enumerate(pairwise(bounds)):
        _write_transformed(lake, number, np.arange(first, end))


def one_more_upload(lake: Path, alumni: int, rows: int) -> None:
    """An upload that was received last, in the same lake: half of its rows are of the alumni that are there."""
    known = np.random.default_rng(1).choice(alumni, rows // 2, replace=False) + 1
    _write_transformed(lake, 99_999, np.concatenate([known, alumni + 1 + np.arange(rows - rows // 2)]))


def _write_transformed(lake: Path, number: int, ids: np.ndarray) -> None:
    """The transformed rows of the upload of that number: `contract_arrow.TRANSFORMED_SCHEMA`."""
    path = lake / "transformed" / f"upload-{number:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, TRANSFORMED_SCHEMA, compression="zstd", compression_level=1) as writer:
        for start in range(0, len(ids), _ROW_GROUP):
            writer.write_table(
                _transformed_rows(f"upload@{number:05d}", number, ids[start : start + _ROW_GROUP], start)
            )


def _transformed_rows(upload: str, number: int, ids: np.ndarray, start: int) -> pa.Table:
    rng, count, rules = np.random.default_rng([number, start]), len(ids), default_contract()

    def chosen(words: tuple[str, ...]) -> pa.Array:
        return pa.array(words).take(pa.array(rng.integers(len(words), size=count)))

    given = {
        "employee_id": ids,
        "employee_name": [f"Employee Number {one}" for one in ids],
        "job_role": chosen(rules.rules.job_role.known),
        "email": [f"alumnus.{one}@gmail.com" for one in ids],
        "phone_number": [f"+63 9{one:09d}" for one in ids],
        "performance_rating": pa.array(rng.integers(1, 6, size=count), pa.int8()),
        "submission_date": np.datetime64(_FIRST_UPLOAD, "us") - rng.integers(400 * 86_400, size=count) * 1_000_000,
        "upload": pa.repeat(upload, count),
        "source_row": np.arange(start + 1, start + count + 1),
        "received_at": pa.repeat(pa.scalar(_FIRST_UPLOAD + timedelta(minutes=number), pa.timestamp("us")), count),
        "corrected_by": pa.nulls(count, pa.string()),
    }
    given |= {name: chosen(rules.vocabulary(name)) for name in VOCABULARY_COLUMNS}
    return pa.table({name: given[name] for name in TRANSFORMED_SCHEMA.names}, schema=TRANSFORMED_SCHEMA)


def _repeat(path: Path, repeats: int) -> None:
    """Append the first rows once more."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(islice(file, 1, repeats + 1))
    with path.open("a", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def _generator() -> str:
    return hashlib.sha256(Path(sampling.__file__).read_bytes()).hexdigest()[:8]
