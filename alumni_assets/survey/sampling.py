"""Generates synthetic uploads in the manner of the real survey: messy but valid rows, and spoiled ones.

Columns, vocabularies, phone numbers and headers come from the contract. The people are made up from
lists of common names. The same arguments give the same bytes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import COLUMNS, VOCABULARY_COLUMNS, Contract
from alumni_assets.survey.cells import where_matching

_BATCH = 50_000
_FIRST = [
    "Maria",
    "Jose",
    "Juan",
    "Ana",
    "Mark",
    "Angela",
    "Daniel",
    "Kristine",
    "Paul",
    "Grace",
    "Michael",
    "Joy",
    "John",
    "Patricia",
    "Carlo",
    "Liza",
    "Ramon",
    "Teresa",
    "Miguel",
    "Carmela",
    "Andres",
    "Bea",
    "Diego",
    "Elena",
    "Felipe",
    "Gloria",
    "Hector",
    "Irene",
    "Jaime",
    "Katrina",
    "Lorenzo",
    "Monica",
    "Nestor",
    "Olivia",
    "Pedro",
    "Rosa",
    "Samuel",
    "Tina",
    "Victor",
    "Wendy",
]
_LAST = [
    "Santos",
    "Reyes",
    "Cruz",
    "Bautista",
    "Ocampo",
    "Garcia",
    "Mendoza",
    "Torres",
    "Flores",
    "Gonzales",
    "Ramos",
    "Aquino",
    "Villanueva",
    "Castro",
    "Rivera",
    "Dizon",
    "Pineda",
    "Lacson",
    "Manalo",
    "Tolentino",
    "Navarro",
    "Salazar",
    "Mercado",
    "Domingo",
    "Aguilar",
    "Pascual",
    "Soriano",
    "Valdez",
    "Herrera",
    "O'Brien",
    "McCullough",
    "Peña",
    "Muñoz",
    "Dela-Cruz",
    "Lim",
    "Tan",
    "Sy",
    "Chua",
    "Yap",
    "Ong",
]
_DOMAINS = ("example.com", "example.org", "example.net")
_FIRST_DAY = np.datetime64("2025-01-01T08:00:00")
_DAYS = 500
Spoiling = Callable[[np.random.Generator, str], str]
_SPOILINGS: tuple[tuple[str, Spoiling], ...] = (
    ("employee_id", lambda rng, cell: f"ID-{cell}"),
    ("employee_id", lambda rng, cell: ""),
    ("employee_name", lambda rng, cell: "Dr. MD"),
    ("employee_name", lambda rng, cell: "12345"),
    ("college_degree", lambda rng, cell: _misspelt(rng, cell)),
    ("department", lambda rng, cell: f"{cell} (see notes)"),
    ("dmc_campus", lambda rng, cell: _misspelt(rng, cell)),
    ("job_role", lambda rng, cell: " "),
    ("email", lambda rng, cell: cell.replace("@", " at ")),
    ("phone_number", lambda rng, cell: cell[:3]),
    ("performance_rating", lambda rng, cell: "excellent"),
    ("performance_rating", lambda rng, cell: "7"),
    ("submission_date", lambda rng, cell: "31/02/2026"),
    ("submission_date", lambda rng, cell: "2099-01-01"),
)


def write_sample(path: Path, rows: int, dirty: float, seed: int, contract: Contract) -> None:
    """Write a synthetic upload of `rows` rows as CSV; `dirty` is the share of rows that are invalid.

    Raises `ValueError` for a negative number of rows or a share outside 0 to 1.
    """
    if rows < 0:
        raise ValueError("The number of rows cannot be negative.")
    if not 0 <= dirty <= 1:
        raise ValueError("The share of dirty rows is a number from 0 to 1.")
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(column.header for column in COLUMNS) + "\n")
        for batch in _batches(rows, dirty, seed, contract):
            cells = [_quoted(batch[column.name]) for column in COLUMNS]
            lines = pc.binary_join_element_wise(*cells, ",").to_pylist()
            file.writelines(f"{line}\n" for line in lines)


def _batches(rows: int, dirty: float, seed: int, contract: Contract) -> Iterator[pa.RecordBatch]:
    rng = np.random.default_rng(seed)
    span = max(900_000, rows * 2) + 1
    step = _coprime_step(span)
    offset = int(rng.integers(span))
    for start in range(0, rows, _BATCH):
        numbers = np.arange(start, min(start + _BATCH, rows), dtype=np.int64)
        ids = 100_000 + (numbers * step + offset) % span
        yield _spoiled(_clean_batch(rng, ids, contract), rng, dirty)


def _quoted(cells: pa.Array) -> pa.Array:
    """In quotation marks where CSV needs them, as words of the configured vocabularies may."""
    return where_matching(
        cells,
        r'[",\r\n]',
        lambda some: pc.binary_join_element_wise('"', pc.replace_substring(some, '"', '""'), '"', ""),
    )


def _coprime_step(span: int) -> int:
    step = 7919
    while np.gcd(step, span) != 1:
        step += 2
    return step


def _clean_batch(rng: np.random.Generator, ids: np.ndarray, contract: Contract) -> pa.RecordBatch:
    count = len(ids)

    def chosen(words: tuple[str, ...] | list[str]) -> pa.Array:
        return pa.array(words, pa.string()).take(pa.array(rng.integers(len(words), size=count)))

    first, last = chosen(_FIRST), chosen(_LAST)
    title = chosen(["", "", "", "", "", "", "", "", "", "Dr. ", "MR. ", "mrs. "])
    suffix = chosen(["", "", "", "", "", "", "", "", "", " MD", " Jr.", " dvm"])
    phone = contract.rules.phone_number
    digits = phone.mobile_digits - len(phone.mobile_prefix)
    number = pc.utf8_lpad(pc.cast(pa.array(rng.integers(10**digits, size=count)), pa.string()), digits, "0")
    local = pc.utf8_lower(pc.binary_join_element_wise(first, pc.cast(pa.array(ids), pa.string()), "."))
    seconds = rng.integers(_DAYS * 86_400, size=count).astype("timedelta64[s]")
    columns = {
        "employee_id": pc.cast(pa.array(ids), pa.string()),
        "employee_name": _messy(pc.binary_join_element_wise(title, first, " ", last, suffix, ""), rng),
        "job_role": _messy(chosen(contract.rules.job_role.known), rng),
        "email": _messy(pc.binary_join_element_wise(local, chosen(list(_DOMAINS)), "@"), rng),
        "phone_number": pc.binary_join_element_wise(phone.mobile_prefix, number, ""),
        "performance_rating": pc.cast(pa.array(rng.integers(1, 6, size=count)), pa.string()),
        "submission_date": pc.strftime(pa.array(_FIRST_DAY + seconds), format="%Y-%m-%d %H:%M:%S"),
    }
    columns |= {name: chosen(contract.vocabulary(name)) for name in VOCABULARY_COLUMNS}
    return pa.RecordBatch.from_pydict({column.name: columns[column.name] for column in COLUMNS})


def _messy(text: pa.Array, rng: np.random.Generator) -> pa.Array:
    """Cases and outer spaces as people leave them."""
    style = rng.integers(6, size=len(text))
    spaced = pc.binary_join_element_wise(" ", text, " ", "")
    messy = pc.if_else(pa.array(style == 0), pc.utf8_upper(text), text)
    messy = pc.if_else(pa.array(style == 1), pc.utf8_lower(text), messy)
    messy = pc.if_else(pa.array(style == 2), pc.utf8_swapcase(text), messy)
    return pc.if_else(pa.array(style == 3), spaced, messy)


def _spoiled(batch: pa.RecordBatch, rng: np.random.Generator, dirty: float) -> pa.RecordBatch:
    """One cell spoiled in a share of the rows, each kind of spoiling equally often."""
    rows = np.flatnonzero(rng.random(batch.num_rows) < dirty)
    kinds = rng.integers(len(_SPOILINGS), size=len(rows))
    columns = {name: batch[name] for name in batch.schema.names}
    for kind, (name, spoil) in enumerate(_SPOILINGS):
        chosen = rows[kinds == kind]
        if not chosen.size:
            continue
        mask = np.zeros(batch.num_rows, bool)
        mask[chosen] = True
        cells = [spoil(rng, cell) for cell in columns[name].filter(pa.array(mask)).to_pylist()]
        columns[name] = pc.replace_with_mask(columns[name], pa.array(mask), pa.array(cells, pa.string()))
    return pa.RecordBatch.from_pydict(columns)


def _misspelt(rng: np.random.Generator, cell: str) -> str:
    """One letter too many, so that "did you mean …?" has something to say."""
    letters = [position for position, letter in enumerate(cell) if not letter.isspace()]
    position = letters[int(rng.integers(len(letters)))]
    return cell[:position] + cell[position] + cell[position:]
