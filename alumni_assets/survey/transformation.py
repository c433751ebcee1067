"""The main transformation: valid rows become clean ones.

Batch in, batch out, like `validation.py`. Exact duplicates need the whole upload and are SQL
(`sql/exact_duplicates.sql`). The rules are configuration: see `survey.yaml`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import VOCABULARY_COLUMNS, Contract
from alumni_assets.contract_arrow import TIMESTAMP, TRANSFORMED_SCHEMA
from alumni_assets.survey import cells
from alumni_assets.survey_rules import JobRoleRules, NameRules

# Letters with the accents that have no letter of their own (Ọlọ́wọ̀), and apostrophes inside.
_WORD = r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f]|['’](?=[^\W\d_]))*"
_INNER_LETTER = re.compile(r"(?<=[\u0300-\u036f])[^\W\d_]|(?<=[^\W\d_]ʻ)[^\W\d_]")
Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


def transform(contract: Contract, received_at: datetime) -> Transform:
    """A function from `contract_arrow.VALID_SCHEMA` to `contract_arrow.TRANSFORMED_SCHEMA`, row by row.

    `received_at` is when the upload was first seen (UTC, without zone).
    """
    rules = contract.rules

    def transformed(batch: pa.RecordBatch) -> pa.RecordBatch:
        clean = {
            "employee_name": clean_name(batch["employee_name"], rules.employee_name),
            "job_role": clean_job_role(batch["job_role"], rules.job_role),
            "email": clean_email(batch["email"], rules.email.replace_domain_labels),
            "phone_number": cells.phone(cells.tidy(batch["phone_number"]), rules.phone_number),
            "received_at": pa.repeat(pa.scalar(received_at, TIMESTAMP), batch.num_rows),
        }
        clean |= {name: _in_vocabulary(batch[name], name, contract) for name in VOCABULARY_COLUMNS}
        return pa.RecordBatch.from_arrays(
            [clean.get(field.name, or_null(batch, field)) for field in TRANSFORMED_SCHEMA],
            schema=TRANSFORMED_SCHEMA,
        )

    return transformed


def clean_name(names: pa.Array, rules: NameRules) -> pa.Array:
    """Title-cased names without titles and suffixes: `DR. JOHN O'BRIEN JR.` becomes `John O'Brien`."""
    titled = pc.utf8_title(cells.bare_name(cells.tidy(names), rules))

    def correct(pattern: str) -> Callable[[pa.Array], pa.Array]:
        special = rf"\bMc{pattern}|{_numeral_pattern(rules)}"
        return lambda some: cells.where_matching(
            some,
            special,
            lambda few: cells.by_distinct(few, lambda each: _each(each, lambda n: _special_name(n, rules))),
        )

    return cells.by_alphabet(titled, correct(r"[a-z]|'S\b"), correct(r"\p{L}|['’]S\b|\p{M}\p{L}|\p{L}ʻ\p{L}"))


def clean_job_role(roles: pa.Array, rules: JobRoleRules) -> pa.Array:
    """Known roles in their usual spelling, others title-cased with acronyms kept."""
    known = {name.casefold(): name for name in rules.known}
    acronyms = {word.casefold(): word for word in rules.acronyms}
    longest_first = sorted(acronyms, key=len, reverse=True)
    words = re.compile("|".join([*(rf"(?<!\w){re.escape(word)}(?![\w'’])" for word in longest_first), _WORD]), re.I)

    def clean(role: str) -> str:
        titled = words.sub(lambda word: acronyms.get(word[0].casefold()) or word[0].capitalize(), role)
        return known.get(role.casefold(), titled)

    return cells.by_distinct(roles, lambda some: _each(cells.tidy(some), clean))


def clean_email(emails: pa.Array, replaced: dict[str, str]) -> pa.Array:
    """The domain in lower case with whole labels replaced; the local part as it came."""
    parts = pc.split_pattern(cells.tidy(emails), "@", max_splits=1, reverse=True)

    def clean(domain: str) -> str:
        return ".".join(replaced.get(label, label) for label in domain.lower().split("."))

    domains = cells.by_distinct(pc.list_element(parts, 1), lambda some: _each(some, clean))
    return pc.binary_join_element_wise(pc.list_element(parts, 0), domains, "@")


def or_null(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """A column as it is; null where rows were stored before there was such a column."""
    return batch[field.name] if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)


def _in_vocabulary(values: pa.Array, name: str, contract: Contract) -> pa.Array:
    return cells.by_distinct(values, lambda some: cells.canonical(cells.tidy(some), contract.vocabulary(name)))


def _each(values: pa.Array, function: Callable[[str], str]) -> pa.Array:
    return pa.array([function(value) for value in values.to_pylist()], pa.string())


def _numeral_pattern(rules: NameRules) -> str:
    words = "|".join(re.escape(numeral.title()) for numeral in rules.numerals)
    return rf"\b(?:{words})\b" if words else r"[^\s\S]"


def _special_name(name: str, rules: NameRules) -> str:
    """What title case gets wrong: McCullough, the 's of a possessive, letters after accents, numerals."""
    name = re.sub(r"\bMc([^\W\d_])", lambda match: f"Mc{match[1].upper()}", name)
    name = re.sub(r"(?<=\w)(['’])S\b", r"\1s", name)
    name = _INNER_LETTER.sub(lambda match: match[0].lower(), name)
    numerals = {numeral.title(): numeral for numeral in rules.numerals}
    first, *others = name.split(" ")
    return " ".join([first, *(_numeral_or_word(word, numerals) for word in others)])


def _numeral_or_word(word: str, numerals: Mapping[str, str]) -> str:
    """A numeral as it is written, also before a comma or a full stop: Santos III, Juan."""
    bare = word if word in numerals else word.strip(".,()")
    return word.replace(bare, numerals[bare]) if bare in numerals else word
