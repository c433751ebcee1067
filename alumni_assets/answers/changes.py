"""What changed in the answers between two sets of figures, in sentences for people. Pure."""

from collections.abc import Iterator, Sequence

from alumni_assets.answers.figures import Answer, Cut, Figures, Row
from alumni_assets.answers.verdicts import percent

MOST_SENTENCES = 5


def are_same_answers(one: Figures, other: Figures) -> bool:
    """Whether two sets of figures give the same answers, whatever else differs."""
    return (one.alumni, one.answers, one.cuts, one.moves) == (other.alumni, other.answers, other.cuts, other.moves)


def changes_of_total(old: Figures, new: Figures) -> str:
    """How the number of alumni changed; nothing where one of the two may not be told."""
    if old.alumni is None or new.alumni is None:
        return ""
    if old.alumni == new.alumni:
        return f"Still {new.alumni:,} alumni."
    return f"{new.alumni:,} alumni, {_signed(new.alumni - old.alumni)} since then."


def changes_of_answer(old: Answer, new: Answer) -> tuple[str, ...]:
    """What changed in an answer, the greatest change in numbers first; only figures that both show are compared."""
    before, after = ({row.name: row for row in answer.rows} for answer in (old, new))
    found = [
        *(
            (abs(row.alumni or 0), f"{name} is new{_with_number(row)}.")
            for name, row in after.items()
            if name not in before
        ),
        *((abs(row.alumni or 0), f"{name} is no longer shown.") for name, row in before.items() if name not in after),
        *(
            (_weight(before[name], row), f"{name}: {', '.join(differences)}.")
            for name, row in after.items()
            if name in before and (differences := list(_differences(before[name], row)))
        ),
    ]
    return _bounded([sentence for _, sentence in sorted(found, key=lambda one: (-one[0], one[1]))])


def changes_of_cuts(old: Sequence[Cut], new: Sequence[Cut]) -> tuple[str, ...]:
    """What changed in where the lists of top employees end."""
    before = {cut.department: cut for cut in old}
    sentences = [
        f"{cut.department}: {cut.listed:,} listed, the last rated {cut.last_rating}, of {cut.alumni:,} alumni."
        for cut in new
        if before.get(cut.department) != cut
    ]
    gone = before.keys() - {cut.department for cut in new}
    return _bounded([*sentences, *(f"{department} has no list any more." for department in sorted(gone))])


def _differences(old: Row, new: Row) -> Iterator[str]:
    if old.alumni is not None and new.alumni is not None and old.alumni != new.alumni:
        yield f"{old.alumni:,} → {new.alumni:,} alumni"
    if old.excellent is not None and new.excellent is not None and old.excellent != new.excellent:
        yield f"{old.excellent:,} → {new.excellent:,} rated 5"
    means = [f"{row.mean:.2f}" for row in (old, new) if row.mean is not None]
    if len(set(means)) == 2:
        yield f"mean {means[0]} → {means[1]}"
    shares = [percent(row.share) for row in (old, new) if row.share is not None]
    if len(set(shares)) == 2:
        yield f"share {shares[0]} → {shares[1]}"


def _weight(old: Row, new: Row) -> int:
    return abs((new.alumni or 0) - (old.alumni or 0))


def _with_number(row: Row) -> str:
    return f", with {row.alumni:,} alumni" if row.alumni is not None else ""


def _bounded(sentences: Sequence[str]) -> tuple[str, ...]:
    if len(sentences) <= MOST_SENTENCES:
        return tuple(sentences)
    more = len(sentences) - MOST_SENTENCES
    return (*sentences[:MOST_SENTENCES], f"{more:,} more group{'' if more == 1 else 's'} changed.")


def _signed(number: int) -> str:
    return f"{number:+,}".replace("-", "−")
