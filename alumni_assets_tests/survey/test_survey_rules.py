"""The survey's configuration: one clear sentence for each mistake, all mistakes at once."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from alumni_assets.contract import Contract
from alumni_assets.survey_rules import DEFAULT_RULES, SurveyRules, SurveyRulesError, default_rules, load_rules

DEFAULTS: dict[str, Any] = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
Change = Callable[[dict[str, Any]], object]


def loaded(tmp_path: Path, *changes: Change) -> SurveyRules:
    settings = copy.deepcopy(DEFAULTS)
    for change in changes:
        change(settings)
    path = tmp_path / "survey.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return load_rules(path)


def mistakes(tmp_path: Path, *changes: Change) -> list[str]:
    with pytest.raises(SurveyRulesError) as error:
        loaded(tmp_path, *changes)
    first, *lines = str(error.value).splitlines()
    assert first == f"The survey configuration {tmp_path / 'survey.yaml'} has mistakes:"
    return [line.strip() for line in lines]


def setting(path: str, value: object) -> Change:
    *sections, name = path.split(".")

    def change(settings: dict[str, Any]) -> None:
        for section in sections:
            settings = settings[section]
        settings[name] = value

    return change


def without(path: str) -> Change:
    *sections, name = path.split(".")

    def change(settings: dict[str, Any]) -> None:
        for section in sections:
            settings = settings[section]
        del settings[name]

    return change


def test_the_defaults_are_those_of_the_academy(tmp_path: Path) -> None:
    rules = default_rules()
    assert rules == loaded(tmp_path)
    assert len(rules.vocabularies.college_degree) == 10
    assert rules.vocabularies.department == ("Admin", "Finance", "HR", "Marketing", "Operations", "R&D", "Tech")
    assert len(rules.vocabularies.dmc_campus) == 8
    assert not rules.approval.auto


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (without("time_zone"), "time_zone: is missing"),
        (without("limits.columns"), "limits.columns: is missing"),
        (without("vocabularies"), "vocabularies: is missing"),
        (setting("colour", "red"), "colour: is not a setting of this pipeline"),
        (setting("email.domains", []), "email.domains: is not a setting of this pipeline"),
        (setting("time_zone", "Mars"), "time_zone: 'Mars' is not a time zone; an example is Asia/Manila"),
        (setting("time_zone", ""), "time_zone: '' is not a time zone; an example is Asia/Manila"),
        (setting("time_zone", "../etc"), "time_zone: '../etc' is not a time zone; an example is Asia/Manila"),
        (setting("time_zone", 8), "time_zone: should be text; write it in quotation marks"),
        (setting("vocabularies.department", []), "vocabularies.department: should not be empty"),
        (setting("vocabularies.department", "HR"), "vocabularies.department: should be a list"),
        (setting("vocabularies.department", None), "vocabularies.department: should be a list"),
        (
            setting("vocabularies.department", ["HR", 5]),
            "vocabularies.department.1: should be text; write it in quotation marks",
        ),
        (setting("vocabularies.department", ["HR", " "]), "vocabularies.department: has an empty entry"),
        (
            setting("vocabularies.dmc_campus", ["Main", "Porac", " MAIN "]),
            "vocabularies.dmc_campus: has the same entry twice (case does not count): MAIN, Main",
        ),
        (
            setting("vocabularies.dmc_campus", ["Pen\u0303a", "Peña"]),
            "vocabularies.dmc_campus: has the same entry twice (case does not count): Peña, Peña",
        ),
        (setting("employee_name", None), "employee_name: should be a group of settings"),
        (setting("employee_name.suffixes", ["MD", "."]), "employee_name.suffixes: has an entry without a letter"),
        (
            setting("job_role.known", ["Teacher", "teacher"]),
            "job_role.known: has the same entry twice (case does not count): Teacher, teacher",
        ),
        (
            setting("email.replace_domain_labels", ["example"]),
            "email.replace_domain_labels: should be pairs, such as example: gmail",
        ),
        (
            setting("email.replace_domain_labels", {"example.com": "gmail"}),
            "email.replace_domain_labels: 'example.com' is not a part of a domain, such as gmail",
        ),
        (
            setting("email.replace_domain_labels", {"example": ""}),
            "email.replace_domain_labels: '' is not a part of a domain, such as gmail",
        ),
        (
            setting("phone_number.country_code", 63),
            "phone_number.country_code: should be text; write it in quotation marks",
        ),
        (setting("phone_number.country_code", "+63"), "phone_number.country_code: "),
        (setting("submission_date.order", "us"), "submission_date.order: should be 'month_first' or 'day_first'"),
        (setting("checks.max_invalid_share", 20), "checks.max_invalid_share: should be less than or equal to 1"),
        (setting("checks.max_invalid_share", True), "checks.max_invalid_share: should be a number"),
        (setting("checks.max_invalid_share", float("nan")), "checks.max_invalid_share: "),
        (setting("approval.auto", "maybe"), "approval.auto: should be true or false"),
        (setting("approval.auto", 1), "approval.auto: should be true or false"),
        (setting("limits.attempts", "3"), "limits.attempts: should be a whole number"),
        (setting("limits.attempts", 1.5), "limits.attempts: should be a whole number"),
        (setting("limits.columns", 3), "limits.columns: should be greater than or equal to 10"),
        (setting("uploads.settle_seconds", "soon"), "uploads.settle_seconds: should be a number"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(tmp_path: Path, change: Change, mistake: str) -> None:
    (found,) = mistakes(tmp_path, change)
    assert found.startswith(mistake)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        without("checks"),
        setting("time_zone", "Mars"),
        setting("vocabularies.department", []),
        setting("limits.attempts", "three"),
        setting("colour", 1),
    )
    assert sorted(found) == [
        "checks: is missing",
        "colour: is not a setting of this pipeline",
        "limits.attempts: should be a whole number",
        "time_zone: 'Mars' is not a time zone; an example is Asia/Manila",
        "vocabularies.department: should not be empty",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a list of named settings"),
        ("- a\n- b\n", "is not a list of named settings"),
        ("time_zone: [", "cannot be read"),
        ("time_zone: a\ntime_zone: b\n", "cannot be read: time_zone is given twice"),
        ("limits:\n  columns: 20\n  columns: 30\n", "cannot be read: columns is given twice"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "survey.yaml"
    path.write_text(content)
    with pytest.raises(SurveyRulesError, match=message) as error:
        load_rules(path)
    assert str(path) in str(error.value)


def test_a_file_in_another_encoding_or_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "survey.yaml").write_bytes(b"time_zone: \xff")
    with pytest.raises(SurveyRulesError, match="cannot be read"):
        load_rules(tmp_path / "survey.yaml")
    with pytest.raises(SurveyRulesError, match="does not exist"):
        load_rules(tmp_path / "nowhere.yaml")
    with pytest.raises(SurveyRulesError, match="cannot be read"):
        load_rules(tmp_path)


def test_words_are_tidied_and_labels_are_in_lower_case(tmp_path: Path) -> None:
    rules = loaded(
        tmp_path,
        setting("vocabularies.dmc_campus", ["  San   Fernando ", "Pen\u0303a"]),
        setting("email.replace_domain_labels", {"Example": "GMail"}),
    )
    assert rules.vocabularies.dmc_campus == ("San Fernando", "Peña")
    assert rules.email.replace_domain_labels == {"example": "gmail"}


def test_the_hash_tells_contracts_that_judge_or_transform_differently(tmp_path: Path) -> None:
    changed = [
        setting("time_zone", "Asia/Tokyo"),
        setting("vocabularies.department", ["HR"]),
        setting("employee_name.suffixes", []),
        setting("job_role.acronyms", []),
        setting("email.replace_domain_labels", {}),
        setting("phone_number.mobile_prefix", "8"),
        setting("submission_date.order", "day_first"),
        setting("limits.field_characters", 100),
    ]
    hashes = [Contract(loaded(tmp_path, *changes)).hash for changes in ([], *([change] for change in changed))]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_does_not_change_with_what_judges_no_row(tmp_path: Path) -> None:
    changes = [
        setting("checks.max_invalid_share", 0.5),
        setting("approval.auto", True),
        setting("limits.attempts", 9),
        setting("uploads.settle_seconds", 9),
        setting("retention.raw_days", 9),
    ]
    assert Contract(loaded(tmp_path, *changes)).hash == Contract(default_rules()).hash
