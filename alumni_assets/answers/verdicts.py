"""What may be said of each answer: verdicts that follow from tests, in words.

A group is called different only where its question's test is clear after Holm's correction over the questions, and
its own test against the rest is clear after Holm's correction over the groups. The tests are in `comparisons.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from alumni_assets.answers.comparisons import (
    SIGNIFICANCE,
    Comparison,
    Evidence,
    Group,
    Member,
    compare_means,
    compare_shares,
    corrected,
    lead,
)
from alumni_assets.answers.figures import Answer, Cut, Question, Row

Standing = Literal["higher", "lower", "no_clear_difference"]

NOT_EQUAL = "“No clear difference” does not mean that they are equal."

_MOST_NAMES = 3
_PLURAL: dict[Question, str] = {
    "degree_performance": "college degrees",
    "campus_excellence": "campuses",
    "department_employment": "departments",
    "job_roles": "job roles",
}


class Verdict(NamedTuple):
    """What is said of an answer: a short `headline`, and what it rests on.

    `comparison` is None for job roles, which have no measure but their number; `lead` is the test of the most
    frequent group against the second, where that is asked.
    """

    headline: str
    grounds: str
    comparison: Comparison | None
    lead: Evidence | None

    @property
    def code(self) -> str:
        """The verdict in one word: see docs/statistics.md."""
        if self.comparison is None:
            return "too_few" if self.lead is None else "ahead" if self.lead.is_clear else "no_clear_difference"
        if self.comparison.test is None:
            return "too_few"
        return "groups_differ" if self.comparison.test.is_clear else "no_clear_difference"

    def standing(self, group: str) -> Standing | None:
        """How a group stands to the rest; None for one that was not compared."""
        if self.comparison is None or self.comparison.test is None:
            return None
        member = next((member for member in self.comparison.members if member.name == group), None)
        return None if member is None else _standing(member, self.comparison.test)


def judge(answers: Mapping[Question, Answer], least: int) -> dict[Question, Verdict]:
    """The verdict on each answer; only groups of at least `least` alumni are compared.

    What an answer does not show (a mean or a share that is None) has no part in it.
    """
    degrees, campuses, departments = (
        answers[name].rows for name in ("degree_performance", "campus_excellence", "department_employment")
    )
    by_question: dict[Question, Comparison] = {
        "degree_performance": compare_means(_rated(degrees), least),
        "campus_excellence": compare_shares(_counted(campuses), least),
        "department_employment": compare_means(_rated(departments), least),
    }
    family = corrected({name: found.test for name, found in by_question.items() if found.test})
    compared = {name: replace(found, test=family.get(name)) for name, found in by_question.items()}
    return {
        "degree_performance": _on_degrees(answers["degree_performance"], compared["degree_performance"]),
        "campus_excellence": _on_campuses(answers["campus_excellence"], compared["campus_excellence"]),
        "department_employment": _on_departments(answers["department_employment"], compared["department_employment"]),
        "job_roles": _on_roles(answers["job_roles"]),
    }


def on_top_employees(cuts: Sequence[Cut]) -> tuple[str, str]:
    """Headline and grounds of the fifth answer, which is a list of people."""
    if not cuts:
        return "No alumni yet", "The list begins with the first upload that is approved."
    listed, tied = sum(cut.listed for cut in cuts), [cut for cut in cuts if cut.is_inside_a_tie]
    headline = f"{_number(listed)} alumni on the lists of {_number(len(cuts))} {_plural(len(cuts), 'department')}"
    if not tied:
        return headline, "No list ends between alumni of the same rating."
    examples = "; ".join(
        f"{cut.department}: {_number(cut.listed_at_last)} of {_number(cut.alumni_at_last)} rated {cut.last_rating} "
        "are on it"
        for cut in tied
    )
    how_many = "each" if len(tied) == len(cuts) > 1 else _number(len(tied))
    verb = "is" if how_many in ("each", "1") else "are"
    return (
        f"{headline}; {how_many} {verb} cut inside a tie",
        "Ratings are whole numbers, so many are equal, and the order among equals says nothing about them: it is by "
        f"name, then by employee id. {examples}.",
    )


def _on_degrees(answer: Answer, found: Comparison) -> Verdict:
    return Verdict(_capital(_difference(answer.question, found)), _means_apart(answer, found), found, None)


def _on_campuses(answer: Answer, found: Comparison) -> Verdict:
    known = [row for row in answer.rows if row.excellent is not None and row.alumni is not None]
    if not known:
        return Verdict(_capital(_difference(answer.question, found)), _shares_apart(answer, found), found, None)
    most = max(row.excellent or 0 for row in known)
    if not most:
        headline = _capital(f"{_of_shown(answer)}no alumni are rated 5")
        return Verdict(headline, _shares_apart(answer, found), found, None)
    first, *tied = (row for row in known if row.excellent == most)
    is_largest = all((first.alumni or 0) > (row.alumni or 0) for row in known if row is not first)
    size = ", being the largest campus" if is_largest and not tied and len(known) > 1 else ""
    have = "have" if tied else "has"
    each = " each" if tied else ""
    names = _few([row.name for row in (first, *tied)])
    headline = f"{_of_shown(answer)}{names} {have} the most alumni rated 5 ({_number(most)}{each}){size}"
    return Verdict(
        f"{headline}; by share, {_difference(answer.question, found)}", _shares_apart(answer, found), found, None
    )


def _on_departments(answer: Answer, found: Comparison) -> Verdict:
    frequent, ahead, test = _most_frequent(answer, "employs the most alumni", "employ the most alumni")
    headline = f"{frequent}; {_difference(answer.question, found)}" if frequent else _difference(answer.question, found)
    return Verdict(_capital(headline), f"{ahead} {_means_apart(answer, found)}".strip(), found, test)


def _on_roles(answer: Answer) -> Verdict:
    frequent, ahead, test = _most_frequent(answer, "is the most frequent role", "are the most frequent roles")
    if not frequent:
        return Verdict("Too few alumni to name a top job role", "", None, None)
    return Verdict(frequent, ahead, None, test)


def _most_frequent(answer: Answer, what: str, what_several: str) -> tuple[str, str, Evidence | None]:
    """Who comes first by number, whether the lead is clear, and the test of that; of those who tie there is no lead."""
    counts = sorted(
        ((row.alumni, row.name) for row in answer.rows if row.alumni is not None), key=lambda c: (-c[0], c[1])
    )
    if not counts:
        return "", "", None
    (first, name), others = counts[0], counts[1:]
    if not others:
        return f"{name} {what} ({_number(first)})", "", None
    second, runner_up = others[0]
    test = lead(first, second)
    if first == second:
        tied = [each for count, each in counts if count == first]
        return f"{_few(tied)} {what_several} ({_number(first)} each)", "", test
    share = next((row.share for row in answer.rows if row.name == name and row.share is not None), None)
    of_all = f", {percent(share)} of all" if share is not None else ""
    if test.is_clear:
        return (
            f"{name} {what} ({_number(first)}{of_all}), clearly ahead of {runner_up} ({_number(second)})",
            f"Its lead is more than chance alone would give ({_evidence(test)}).",
            test,
        )
    return (
        f"{name} {what} ({_number(first)}{of_all}), not clearly ahead of {runner_up} ({_number(second)})",
        f"Its lead over {runner_up} may be chance ({_evidence(test)}).",
        test,
    )


def _difference(question: Question, found: Comparison) -> str:
    plural = _PLURAL[question]
    if found.test is None:
        return (
            f"ratings too much alike to compare {plural}" if found.are_alike else f"too few alumni to compare {plural}"
        )
    if not found.test.is_clear:
        return f"no clear difference between {plural}"
    higher = [member.name for member in found.members if _standing(member, found.test) == "higher"]
    lower = [member.name for member in found.members if _standing(member, found.test) == "lower"]
    if not higher and not lower:
        return f"{plural} differ, but no single one clearly differs from the rest"
    only = "only " if len(higher) + len(lower) == 1 else ""
    parts = [_differing(question, names, word) for names, word in ((higher, "higher"), (lower, "lower")) if names]
    return f"{only}{', '.join(parts)} than the rest"


def _differing(question: Question, names: Sequence[str], word: str) -> str:
    if question == "campus_excellence":
        return f"{listed(names)} {'has' if len(names) == 1 else 'have'} a clearly {word} share"
    return f"{listed(names)} {'is' if len(names) == 1 else 'are'} rated clearly {word}"


def _means_apart(answer: Answer, found: Comparison) -> str:
    known = sorted((row.mean, row.name) for row in answer.rows if row.mean is not None)
    return _apart(answer, [(f"{mean:.2f}", name) for mean, name in known], "Means", found, lambda value: f"{value:.2f}")


def _shares_apart(answer: Answer, found: Comparison) -> str:
    known = sorted((row.share, row.name) for row in answer.rows if row.share is not None)
    return _apart(answer, [(percent(share), name) for share, name in known], "Shares", found, percent)


def _apart(
    answer: Answer, known: Sequence[tuple[str, str]], what: str, found: Comparison, shown: Callable[[float], str]
) -> str:
    """How far the groups lie apart, and what the test says of it: of those groups only that it compared."""
    compared = {member.name for member in found.members}
    chosen = [one for one in known if one[1] in compared] or known
    if len(chosen) < 2:
        return ""
    (low, lowest), (high, highest) = chosen[0], chosen[-1]
    among = " of those compared" if len(chosen) < len(known) else "" if _is_whole(answer) else " of those shown"
    sentence = f"{what}{among} lie between {low} ({lowest}) and {high} ({highest})."
    if found.test is None:
        return f"{sentence} The groups are too {'much alike' if found.are_alike else 'small'} for a test."
    if not found.test.is_clear:
        return f"{sentence} Chance alone could give such differences ({_evidence(found.test)}). {NOT_EQUAL}"
    clear = [
        f"{member.name} {shown(member.estimate)} against {shown(member.rest_estimate)} ({_evidence(member.test)})"
        for member in found.members
        if _standing(member, found.test) != "no_clear_difference"
    ]
    more = f" {'; '.join(clear)}." if clear else ""
    return f"{sentence} That is more than chance alone would give ({_evidence(found.test)}).{more}"


def _is_whole(answer: Answer) -> bool:
    """Whether the answer shows all groups with their means or shares."""
    return not answer.unnamed and all(row.mean is not None or row.share is not None for row in answer.rows)


def _of_shown(answer: Answer) -> str:
    return "" if _is_whole(answer) else "Of those shown, "


def _standing(member: Member, test: Evidence) -> Standing:
    if not (test.is_clear and member.test.is_clear):
        return "no_clear_difference"
    return "higher" if member.estimate > member.rest_estimate else "lower"


def _rated(rows: Sequence[Row]) -> list[Group]:
    return [
        Group(row.name, row.alumni, mean=row.mean, sd=row.sd)
        for row in rows
        if row.alumni is not None and row.mean is not None and row.sd is not None
    ]


def _counted(rows: Sequence[Row]) -> list[Group]:
    return [
        Group(row.name, row.alumni, hits=row.excellent)
        for row in rows
        if row.alumni is not None and row.excellent is not None and row.share is not None
    ]


def percent(share: float) -> str:
    """A share from 0 to 1 in percent, such as 18.8 %."""
    return f"{share * 100:.1f} %"


def p_value(value: float) -> str:
    """A p value as it is shown: p = 0.013; with as many digits as tell on which side of the limit it is."""
    if value < 0.001:
        return "p < 0.001"
    if value > 0.99:
        return "p > 0.99"
    if round(value, 3) == SIGNIFICANCE:
        return f"p = {value:.5f}"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def p_in_words(test: Evidence) -> str:
    """The p value of a test, before and after Holm's correction where there was one."""
    if p_value(test.p_value) == p_value(test.p_adjusted):
        return p_value(test.p_value)
    return f"{p_value(test.p_value)}, after Holm's correction {p_value(test.p_adjusted).removeprefix('p = ')}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _few(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first ones."""
    if len(names) <= _MOST_NAMES:
        return listed(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES:,} others"


def _evidence(test: Evidence) -> str:
    return f"{test.name}, {p_in_words(test)}"


def _number(value: int | None) -> str:
    return f"{value:,}"


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
