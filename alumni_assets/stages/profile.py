"""The profile of an upload: what is counted of its valid rows as they are stored, to compare uploads with each other.

What is made of it is in `survey/drift.py`.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alumni_assets.contract import VOCABULARY_COLUMNS, Contract
from alumni_assets.stages.streaming import stored_batches
from alumni_assets.survey import cells
from alumni_assets.survey.drift import (
    EMAIL_DOMAIN,
    LEAST_OF_DOMAIN,
    LOOKED_AT,
    MIXES,
    OTHER_DOMAINS,
    REPEATED,
    REPEATED_IDS,
    Profile,
)

_EMAIL = "email"
_DOMAINS_KEPT = 100
_EMAILS_LOOKED_AT = 100_000
_IDS_HELD = 500_000
_SPREAD = 0x9E3779B97F4A7C15  # 2^64 by the golden ratio: multiplied by it, numbers that are near come far apart


def profile_of(stored: Path, valid: int, contract: Contract) -> Profile:
    """What is counted of an upload's `valid` rows as stored: how often each vocabulary's words occur, and each rating.

    E-mail domains are those of the first 100,000 rows, and of them the most frequent by name. Ids are compared with
    each other where there are up to 500,000 rows; of more, a part of all ids is looked at, with all their rows.
    """
    counted: dict[str, Counter[str]] = {column: Counter() for column in MIXES}
    parts = [np.empty(0, np.int64)]
    for batch in stored_batches(stored, [*MIXES, REPEATED_IDS], encoded=VOCABULARY_COLUMNS):
        for column, counts in counted.items():
            counts.update(_in_one_spelling(pc.value_counts(batch[column]), column, contract))
        parts.append(_part_of(batch[REPEATED_IDS].to_numpy(), -(-valid // _IDS_HELD)))
    ids = np.sort(np.concatenate(parts))
    return {
        **{column: dict(counts) for column, counts in counted.items()},
        EMAIL_DOMAIN: _frequent(_domains_in(stored)),
        REPEATED_IDS: {LOOKED_AT: len(ids), REPEATED: int((ids[1:] == ids[:-1]).sum())},
    }


def _domains_in(stored: Path) -> Counter[str]:
    domains: Counter[str] = Counter()
    for batch in stored_batches(stored, [_EMAIL]):
        domains.update(_as_text(pc.value_counts(_domains(batch[_EMAIL][: _EMAILS_LOOKED_AT - domains.total()]))))
        if domains.total() >= _EMAILS_LOOKED_AT:
            break
    return domains


def _as_text(counted: pa.StructArray) -> Counter[str]:
    found: Counter[str] = Counter()
    for value, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True):
        found[str(value)] += count
    return found


def _in_one_spelling(counted: pa.StructArray, column: str, contract: Contract) -> Counter[str]:
    """The counts by the vocabulary's words; looked at after counting, for then there are few values."""
    if column not in VOCABULARY_COLUMNS:
        return _as_text(counted)
    words = cells.canonical(cells.tidy(counted.field("values").cast(pa.string())), contract.vocabulary(column))
    return _as_text(pa.StructArray.from_arrays([words, counted.field("counts")], ["values", "counts"]))


def _domains(emails: pa.Array) -> pa.Array:
    """What is behind the last @, in lower case."""
    return pc.utf8_lower(pc.replace_substring_regex(cells.tidy(emails), "^.*@", ""))


def _frequent(domains: Counter[str]) -> dict[str, int]:
    """The most frequent ones, and all others together: a domain that few have could name somebody."""
    kept = {domain: count for domain, count in domains.most_common(_DOMAINS_KEPT) if count >= LEAST_OF_DOMAIN}
    return {**kept, OTHER_DOMAINS: domains.total() - sum(kept.values())}


def _part_of(ids: np.ndarray, one_in: int) -> np.ndarray:
    """All rows of one in so many ids, chosen by the id, so that an id is looked at everywhere or nowhere."""
    return ids if one_in <= 1 else ids[(ids.astype(np.uint64) * np.uint64(_SPREAD) >> np.uint64(32)) % one_in == 0]
