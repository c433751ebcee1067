"""The verdicts as rows of the table `answer_verdicts`: for analysts, with every figure that they rest on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from alumni_assets.answers.comparisons import Comparison, Evidence
from alumni_assets.answers.figures import Answer, Cut, Question, Row
from alumni_assets.answers.verdicts import Verdict, judge, on_top_employees

_COLUMNS = {
    "question": "string",
    "measure": "string",
    "group_name": "string",
    "alumni": "Int64",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "rest_estimate": "float64",
    "test": "string",
    "statistic": "float64",
    "p_value": "float64",
    "p_adjusted": "float64",
    "verdict": "string",
    "in_words": "string",
}
_MEASURES: dict[Question, str] = {
    "degree_performance": "mean_rating",
    "campus_excellence": "excellent_share",
    "department_employment": "mean_rating",
    "job_roles": "alumni",
}


def verdict_rows(answers: Mapping[Question, Answer], cuts: Sequence[Cut], least: int) -> pd.DataFrame:
    """The rows, with the columns of the table `answer_verdicts`; of each question first the row on it as a whole."""
    rows = [
        row
        for question, verdict in judge(answers, least).items()
        for row in _rows(question, answers[question], verdict)
    ]
    headline, grounds = on_top_employees(cuts)
    rows.append(
        {
            "question": "top_employees",
            "measure": "excellent_share",
            "alumni": sum(cut.alumni for cut in cuts),
            "verdict": "not_compared",
            "in_words": f"{headline}. {grounds}",
        }
    )
    rows += [
        {
            "question": "top_employees",
            "measure": "excellent_share",
            "group_name": cut.department,
            "alumni": cut.alumni,
            "estimate": cut.share,
            "low": cut.share_low,
            "high": cut.share_high,
            "verdict": "not_compared",
        }
        for cut in cuts
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def _rows(question: Question, answer: Answer, verdict: Verdict) -> Iterator[dict[str, Any]]:
    named = {"question": question, "measure": _MEASURES[question]}
    in_words = {"in_words": f"{verdict.headline}. {verdict.grounds}".strip()}
    if verdict.comparison is None:
        alumni = sum(row.alumni or 0 for row in answer.rows)
        yield named | {"alumni": alumni, "verdict": verdict.code} | in_words | _tested(verdict.lead)
    else:
        yield named | _whole(verdict.comparison) | {"verdict": verdict.code} | in_words
        if question == "department_employment":
            yield named | {"measure": "alumni", "verdict": _ahead(verdict.lead)} | _tested(verdict.lead)
    for row in answer.rows:
        yield named | {"group_name": row.name, "alumni": row.alumni} | _estimates(row) | _of_group(row.name, verdict)


def _whole(found: Comparison) -> dict[str, Any]:
    return {"alumni": found.n, "estimate": found.estimate} | _tested(found.test)


def _of_group(name: str, verdict: Verdict) -> dict[str, Any]:
    member = next((m for m in verdict.comparison.members if m.name == name), None) if verdict.comparison else None
    if verdict.comparison is None:
        return {"verdict": "not_compared"}
    if member is None:
        return {"verdict": "too_few"}
    return {"rest_estimate": member.rest_estimate, "verdict": verdict.standing(name)} | _tested(member.test)


def _estimates(row: Row) -> dict[str, Any]:
    if row.mean is not None:
        return {"estimate": row.mean, "low": row.mean_low, "high": row.mean_high}
    return {"estimate": row.share, "low": row.share_low, "high": row.share_high}


def _tested(test: Evidence | None) -> dict[str, Any]:
    if test is None:
        return {}
    return {
        "test": test.name,
        "statistic": test.statistic,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
    }


def _ahead(test: Evidence | None) -> str:
    return "too_few" if test is None else "ahead" if test.is_clear else "no_clear_difference"
