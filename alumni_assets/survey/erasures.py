"""What erasures have made of uploads: which rows are gone, and which contents stand in the place of which.

A fact stays as it was entered, and names contents by their SHA-256. Once persons are erased from what it names, it
means the rewritten content: an approval stays an approval, and a waiver a waiver. Here is what it says in the terms of
what is stored now. Pure; who is erased is told in `persons.py`, and how in `stages/erasing.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from alumni_assets.survey import row_ranges
from alumni_assets.survey.row_ranges import Ranges
from alumni_assets.survey.standing import Decision, Erasure, Ingested, Rewritten, Seen, Transformed, Waiver


@dataclass(frozen=True)
class Ledger:
    """All erasures, and by its SHA-256 every content that was replaced because of one."""

    erasures: Sequence[Erasure] = ()
    rewritten: Mapping[str, Rewritten] = field(default_factory=dict)

    @property
    def persons(self) -> frozenset[str]:
        """The keyed hashes of all who were erased."""
        return frozenset(name for erasure in self.erasures for name in erasure.persons)

    def rows(self) -> dict[str, Ranges]:
        """For each upload that had rows of erased persons, those rows."""
        uploads = {upload for erasure in self.erasures for upload in erasure.rows}
        return {upload: self.rows_of(upload) for upload in sorted(uploads)}

    def rows_of(self, upload: str) -> Ranges:
        """The rows of an upload that were those of erased persons."""
        joined = row_ranges.union(*(erasure.rows.get(upload, ()) for erasure in self.erasures))
        return tuple(f"{first}-{last}" for first, last in joined)

    def last(self, sha256: str) -> Rewritten | None:
        """What stands in the place of a content now; None where that is the content itself."""
        found = self.rewritten.get(sha256)
        while found is not None and found.into in self.rewritten:
            found = self.rewritten[found.into]
        return found

    def now(self, sha256: str) -> str:
        """The SHA-256 of what stands in the place of a content now."""
        found = self.last(sha256)
        return found.into if found else sha256

    def is_without_all(self, sha256: str) -> bool:
        """Whether a content came about by taking out the rows of all persons who are erased by now."""
        number = len(self.erasures)
        return any(made.into == sha256 and made.erasures >= number for made in self.rewritten.values())

    def seen(self, fact: Seen) -> Seen:
        """A fact in the terms of what is stored now, like the next. The counts of rows in them stay as they are."""
        found = self.last(fact.sha256)
        return replace(fact, sha256=found.into, size=found.size) if found else fact

    def ingested(self, fact: Ingested) -> Ingested:
        """How taking in an upload ended."""
        gone = self.rows_of(fact.corrects) if fact.corrects else ()
        if not gone and self._are_all_now(fact.content, fact.invalid_content, fact.against):
            return fact
        return replace(
            fact,
            content=self.now(fact.content),
            invalid_content=self.now(fact.invalid_content),
            against=self.now(fact.against),
            mends=row_ranges.without(fact.mends, gone),
            wrong=row_ranges.without(fact.wrong, gone),
        )

    def transformed(self, fact: Transformed) -> Transformed:
        """What the transformation of an upload gave."""
        if self._are_all_now(fact.source, fact.content):
            return fact
        return replace(fact, source=self.now(fact.source), content=self.now(fact.content))

    def decision(self, fact: Decision) -> Decision:
        """An approval or a withdrawal."""
        return fact if self._are_all_now(fact.content) else replace(fact, content=self.now(fact.content))

    def waiver(self, fact: Waiver) -> Waiver:
        """A waiver of rows."""
        rows = row_ranges.without(fact.rows, self.rows_of(fact.upload))
        return replace(fact, rows=rows, judged=self.now(fact.judged))

    def _are_all_now(self, *contents: str) -> bool:
        """Whether none of these contents was ever replaced: most facts stay what they are."""
        return self.rewritten.keys().isdisjoint(contents)
