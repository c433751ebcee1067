"""The survey's configuration: the shape of `survey.yaml` and its validation.

Only the shape, the defaults' location and the error messages live here. What the rules do is in
`survey/`; which columns exist is in `contract.py`; where the file is found is in `settings.py`.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

DEFAULT_RULES = Path(__file__).with_name("survey.yaml")


class SurveyRulesError(ValueError):
    """The survey's configuration file has a mistake; the message names each one."""


def _unique_words(words: tuple[str, ...]) -> tuple[str, ...]:
    stripped = tuple(" ".join(word.split()) for word in words)
    if any(not word for word in stripped):
        raise ValueError("has an empty entry")
    if len({word.casefold() for word in stripped}) != len(stripped):
        raise ValueError("has the same entry twice (case does not count)")
    return stripped


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; an example is Asia/Manila") from error
    return name


Words = Annotated[tuple[str, ...], AfterValidator(_unique_words)]
NonEmptyWords = Annotated[Words, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Vocabularies(_Section):
    """The closed lists, one for each column that has one."""

    college_degree: NonEmptyWords
    department: NonEmptyWords
    dmc_campus: NonEmptyWords


class NameRules(_Section):
    """Titles, suffixes and numerals in names."""

    honorifics: Words
    suffixes: Words
    numerals: Words


class JobRoleRules(_Section):
    """Known job roles and words that keep their spelling."""

    known: Words
    acronyms: Words


class EmailRules(_Section):
    """Domain labels to replace."""

    replace_domain_labels: dict[str, str]


class PhoneRules(_Section):
    """The country of numbers that carry no country code."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    country_code: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}$")]
    mobile_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,4}$")]
    mobile_digits: Annotated[int, Field(ge=4, le=14)]


class DateRules(_Section):
    """How dates with slashes are read."""

    order: Literal["month_first", "day_first"]


class CheckRules(_Section):
    """Thresholds of asset checks."""

    max_invalid_share: Share


class ApprovalRules(_Section):
    """The auto-approve policy."""

    auto: bool
    max_invalid_share: Share


class LimitRules(_Section):
    """Bounds on what an upload may cost."""

    field_characters: Annotated[int, Field(ge=100, le=1_000_000)]
    columns: Annotated[int, Field(ge=10, le=10_000)]
    decompressed_megabytes: Annotated[int, Field(ge=1)]
    workbook_megabytes: Annotated[int, Field(ge=1, le=4096)]
    attempts: Annotated[int, Field(ge=1, le=20)]


class UploadRules(_Section):
    """When an upload in a folder is complete."""

    settle_seconds: Annotated[float, Field(ge=0, le=3600)]


class SurveyRules(_Section):
    """Everything that `survey.yaml` says."""

    time_zone: Annotated[str, AfterValidator(_known_time_zone)]
    vocabularies: Vocabularies
    employee_name: NameRules
    job_role: JobRoleRules
    email: EmailRules
    phone_number: PhoneRules
    submission_date: DateRules
    checks: CheckRules
    approval: ApprovalRules
    limits: LimitRules
    uploads: UploadRules


def load_rules(path: Path) -> SurveyRules:
    """Read and validate a configuration file.

    Raises `SurveyRulesError` naming the file and every mistake in it.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SurveyRulesError(f"The survey configuration {path} does not exist.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SurveyRulesError(f"The survey configuration {path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise SurveyRulesError(f"The survey configuration {path} is not a list of named settings.")
    try:
        return SurveyRules.model_validate(data)
    except ValidationError as error:
        mistakes = "\n".join(
            f"  {'.'.join(str(part) for part in mistake['loc'])}: {_sentence(mistake['msg'])}"
            for mistake in error.errors()
        )
        raise SurveyRulesError(f"The survey configuration {path} has mistakes:\n{mistakes}") from error


@cache
def default_rules() -> SurveyRules:
    """The rules that come with the package: those of DMC Academy."""
    return load_rules(DEFAULT_RULES)


def _sentence(message: str) -> str:
    return {
        "Field required": "is missing",
        "Extra inputs are not permitted": "is not a setting of this pipeline",
    }.get(message, message.removeprefix("Value error, "))
