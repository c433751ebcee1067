"""The life of rows that were set aside: open, resolved by a correction, waived, or closed with their upload.

A pure function of what the register holds, like `standing.py`: which upload's rows are still open, how many, and
whether they keep it from being approved. The rows themselves are in tables; how those are put together is in
`sql/quarantine.sql`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from alumni_assets.survey import row_ranges
from alumni_assets.survey.row_ranges import Ranges
from alumni_assets.survey.standing import NO_OPEN_ROWS, Facts, Ingested, Standing, Status, Waiver

LIVE_CORRECTIONS = {Status.CORRECTION, Status.APPROVED, Status.TRANSFORMED}
_CLOSING = {Status.SUPERSEDED: "superseded", Status.WITHDRAWN: "withdrawn"}


@dataclass(frozen=True)
class Return:
    """A correction in which rows of an upload came back: the SHA-256 of its valid and of its invalid table."""

    correction: str
    content: str
    invalid_content: str


@dataclass(frozen=True)
class SetAside:
    """The rows of one upload that were set aside, and what has become of them since.

    `closing` is `superseded` or `withdrawn` where they fell with their upload, and empty otherwise. `returns` are the
    corrections that count or wait, in the order in which they came, and `gone` those that were withdrawn; `waivers`
    are those for the rows as they are judged.
    """

    upload: str
    received_at: datetime
    invalid_content: str
    rows: int
    closing: str = ""
    returns: tuple[Return, ...] = ()
    gone: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    mended: Ranges = ()

    @property
    def version(self) -> str:
        """A text that changes whenever a row's life, or what is said of it, may have."""
        text = json.dumps(asdict(replace(self, mended=())), default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def has_changed(self) -> bool:
        """Whether anything has become of its rows since they were set aside."""
        return bool(self.closing or self.returns or self.gone or self.waivers)

    @property
    def resolved(self) -> int:
        """How many rows corrections have mended."""
        return 0 if self.closing else row_ranges.size(row_ranges.union(self.mended))

    @property
    def open(self) -> int:
        """How many rows wait for somebody to do something."""
        if self.closing:
            return 0
        waived = [waiver.rows for waiver in self.waivers]
        return self.rows - row_ranges.size(row_ranges.union(self.mended, *waived))

    @property
    def waived(self) -> int:
        """How many rows a person has waived that no correction has mended."""
        return 0 if self.closing else self.rows - self.resolved - self.open


class Quarantine:
    """All rows that were set aside, by the register as it is now."""

    def __init__(self, facts: Facts, stands: Mapping[str, Standing]) -> None:
        self._facts = facts
        self._stands = stands
        self._corrections = corrections_by_upload(facts)

    def of(self, upload: str) -> SetAside | None:
        """The rows of an upload that were set aside, if there were any.

        A correction has some only where rows name none of the upload that it corrects: all others are that upload's.
        """
        ingested = self._facts.ingested.get(upload)
        if ingested is None or upload not in self._stands or not _number(ingested):
            return None
        corrections = [self._facts.ingested[some] for some in self._corrections.get(upload, ())]
        returned = [some for some in corrections if self._returns(some, ingested)]
        waivers = [some for some in self._facts.waivers.get(upload, ()) if some.judged == ingested.invalid_content]
        mended = row_ranges.union(*(some.mends for some in returned))
        return SetAside(
            upload=upload,
            received_at=self._facts.seen[upload].received_at,
            invalid_content=ingested.invalid_content,
            rows=_number(ingested),
            closing=self._closing(upload),
            returns=tuple(Return(some.upload, some.content, some.invalid_content) for some in returned),
            gone=tuple(some.upload for some in corrections if self._is_withdrawn(some.upload)),
            waivers=tuple(waivers),
            mended=tuple(f"{first}-{last}" for first, last in mended),
        )

    def all(self) -> dict[str, SetAside]:
        """Every upload that had rows set aside."""
        return {upload: found for upload in self._facts.ingested if (found := self.of(upload)) is not None}

    def still_wrong(self, correction: str) -> int:
        """How many rows came back wrong in a correction, last, and are open still."""
        ingested, found = self._facts.ingested[correction], self.of(self._facts.corrects(correction))
        if found is None or found.closing or not self._returns(ingested, self._facts.ingested[found.upload]):
            return 0
        corrections = self._corrections[found.upload]
        later = [self._facts.ingested[some] for some in corrections[corrections.index(correction) + 1 :]]
        said = [some.wrong for some in later if self._returns(some, self._facts.ingested[found.upload])]
        closed = [found.mended, *said, *(waiver.rows for waiver in found.waivers)]
        return row_ranges.size(row_ranges.union(ingested.wrong, *closed)) - row_ranges.size(row_ranges.union(*closed))

    def open_share(self, upload: str) -> float:
        """The share of an upload's rows that are open: 0 to 1. Of a correction, the share that came back wrong."""
        ingested, found = self._facts.ingested[upload], self.of(upload)
        number = (ingested.invalid or 0) if ingested.corrects else (found.open if found else 0)
        return number / max(ingested.rows or 0, 1)

    def blocking_checks(self, upload: str) -> tuple[str, ...]:
        """The failed checks that keep an upload from being approved now.

        Too many open rows do so only until enough of them are corrected or waived.
        """
        ingested = self._facts.ingested[upload]
        if NO_OPEN_ROWS in ingested.failed_checks and self.open_share(upload) <= ingested.max_open_share:
            return tuple(name for name in ingested.failed_checks if name != NO_OPEN_ROWS)
        return ingested.failed_checks

    def _returns(self, correction: Ingested, original: Ingested) -> bool:
        """Whether what came back in a correction says something of the rows as they are judged now."""
        standing = self._stands.get(correction.upload)
        return (
            standing is not None
            and standing.status in LIVE_CORRECTIONS
            and correction.against == original.invalid_content
        )

    def _is_withdrawn(self, correction: str) -> bool:
        standing = self._stands.get(correction)
        return standing is not None and standing.status is Status.WITHDRAWN

    def _closing(self, upload: str) -> str:
        """A row that a correction has too many also falls when other content comes under the correction's name."""
        closing = _CLOSING.get(self._stands[upload].status, "")
        return closing or ("superseded" if self._facts.corrects(upload) and self._is_replaced(upload) else "")

    def _is_replaced(self, upload: str) -> bool:
        later = [arrival.upload for arrival in self._facts.arrivals.get(self._facts.seen[upload].key, ())]
        last = self._facts.ingested.get(later[-1]) if later else None
        return last is not None and last.upload != upload and last.outcome == Status.VALIDATED


def corrections_by_upload(facts: Facts) -> dict[str, list[str]]:
    """For each upload its corrections, in the order in which they came: a later one wins over an earlier one."""
    found: dict[str, list[str]] = {}
    for correction, ingested in facts.ingested.items():
        if ingested.corrects and correction in facts.seen:
            found.setdefault(ingested.corrects, []).append(correction)
    return {
        upload: sorted(corrections, key=lambda some: (facts.seen[some].received_at, some))
        for upload, corrections in found.items()
    }


def _number(ingested: Ingested) -> int:
    return ingested.strays if ingested.corrects else ingested.invalid or 0
