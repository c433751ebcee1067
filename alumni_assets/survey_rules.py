"""The survey's configuration: the shape of `survey.yaml` and its validation.

Only the shape, the defaults' location and the error messages live here. What the rules do is in
`survey/`; which columns exist is in `contract.py`; where the file is found is in `settings.py`.
"""

import re
import unicodedata
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

DEFAULT_RULES = Path(__file__).with_name("survey.yaml")


class SurveyRulesError(ValueError):
    """The survey's configuration file has a mistake; the message names each one."""


def _unique_words(words: tuple[str, ...]) -> tuple[str, ...]:
    tidied = tuple(unicodedata.normalize("NFC", " ".join(word.split())) for word in words)
    if any(not word for word in tidied):
        raise ValueError("has an empty entry")
    doubled = sorted(word for word in tidied if [other.casefold() for other in tidied].count(word.casefold()) > 1)
    if doubled:
        raise ValueError(f"has the same entry twice (case does not count): {', '.join(doubled)}")
    return tidied


def _lettered_words(words: tuple[str, ...]) -> tuple[str, ...]:
    if any(not any(letter.isalpha() for letter in word) for word in words):
        raise ValueError("has an entry without a letter")
    return words


def _domain_labels(replaced: dict[str, str]) -> dict[str, str]:
    for label in (*replaced, *replaced.values()):
        if not re.fullmatch(r"[^\W_]([\w-]*[^\W_])?", label):
            raise ValueError(f"{label!r} is not a part of a domain, such as gmail")
    return {old.lower(): new.lower() for old, new in replaced.items()}


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; an example is Asia/Manila") from error
    return name


def _known_language(name: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(name)
    except (ValueError, UnknownLocaleError) as error:
        raise ValueError(f"{name!r} is not a language; examples are en and fil_PH") from error
    return name


Words = Annotated[tuple[str, ...], AfterValidator(_unique_words)]
NonEmptyWords = Annotated[Words, Field(min_length=1)]
LetteredWords = Annotated[Words, AfterValidator(_lettered_words)]
# Strict: `yes` is no share and "3" is no number.
Number = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Days = Annotated[Number, Field(ge=1, le=36_500)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Vocabularies(_Section):
    """The closed lists, one for each column that has one."""

    college_degree: NonEmptyWords
    department: NonEmptyWords
    dmc_campus: NonEmptyWords


class NameRules(_Section):
    """Titles, suffixes and numerals in names."""

    honorifics: LetteredWords
    suffixes: LetteredWords
    numerals: LetteredWords


class JobRoleRules(_Section):
    """Known job roles and words that keep their spelling."""

    known: Words
    acronyms: Words


class EmailRules(_Section):
    """Domain labels to replace."""

    replace_domain_labels: Annotated[dict[str, str], AfterValidator(_domain_labels)]


class PhoneRules(_Section):
    """The mobile numbers of the country whose numbers carry no country code."""

    country_code: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}$")]
    mobile_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,4}$")]
    mobile_digits: Annotated[Number, Field(ge=4, le=14)]


class DateRules(_Section):
    """How dates with slashes are read."""

    order: Literal["month_first", "day_first"]


class CheckRules(_Section):
    """Thresholds of asset checks."""

    max_invalid_share: Share


class DriftRules(_Section):
    """From when on an upload counts as unlike those before it."""

    earlier_uploads: Annotated[Number, Field(ge=1, le=1000)] = 20
    least_rows: Annotated[Number, Field(ge=10)] = 50
    psi: Annotated[float, Field(gt=0)] = 0.1
    share_change: Share = 0.05
    volume_factor: Annotated[float, Field(gt=1)] = 10.0
    new_domain_share: Share = 0.05


class ApprovalRules(_Section):
    """The auto-approve policy."""

    auto: Annotated[bool, Field(strict=True)]
    max_invalid_share: Share


class LimitRules(_Section):
    """Bounds on what an upload may cost."""

    field_characters: Annotated[Number, Field(ge=100, le=1_000_000)]
    columns: Annotated[Number, Field(ge=10, le=10_000)]
    decompressed_megabytes: Annotated[Number, Field(ge=1)]
    workbook_megabytes: Annotated[Number, Field(ge=1, le=4096)]
    attempts: Annotated[Number, Field(ge=1, le=20)]


class UploadRules(_Section):
    """When an upload in a folder is complete."""

    settle_seconds: Annotated[float, Field(strict=True, ge=0, le=3600)]


class NotificationRules(_Section):
    """From how many rows on people are told of them."""

    new_valid_rows: Annotated[Number, Field(ge=1)] = 1
    open_invalid_rows: Annotated[Number, Field(ge=1)] = 1


class AnswerRules(_Section):
    """From how many alumni on a group is compared with others."""

    compare_from: Annotated[Number, Field(ge=2)] = 10


class DashboardRules(_Section):
    """What the page for the university shows."""

    title: Annotated[str, Field(min_length=1, max_length=80)] = "DMC Academy alumni survey"
    mask_contacts: Annotated[bool, Field(strict=True)] = False
    stale_after_days: Annotated[Number, Field(ge=1)] = 14


class PublicEditionRules(_Section):
    """How many alumni a group needs to be shown in the edition that leaves the university."""

    min_count: Annotated[Number, Field(ge=2)] = 5
    min_estimate: Annotated[Number, Field(ge=2)] = 10


class ReportRules(_Section):
    """When the weekly report is prepared, and in which language its dates are."""

    schedule: str = "0 8 * * 1"
    language: Annotated[str, AfterValidator(_known_language)] = "en"


class RetentionRules(_Section):
    """After how many days what is no longer needed goes, by layer; without a number it stays.

    Reports are sent again until the end of the next week, so they stay for 15 days at least.
    """

    schedule: str = "30 3 * * *"
    raw_days: Days | None = None
    pinned_days: Days | None = None
    correction_files_days: Days | None = None
    reports_days: Annotated[Number, Field(ge=15, le=36_500)] | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is ever to go."""
        ages = (self.raw_days, self.pinned_days, self.correction_files_days, self.reports_days)
        return any(days is not None for days in ages)


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
    drift: DriftRules = DriftRules()
    approval: ApprovalRules
    limits: LimitRules
    uploads: UploadRules
    notifications: NotificationRules = NotificationRules()
    answers: AnswerRules = AnswerRules()
    dashboard: DashboardRules = DashboardRules()
    public_edition: PublicEditionRules = PublicEditionRules()
    report_approval: Literal["manual", "auto"] = "manual"
    report: ReportRules = ReportRules()
    retention: RetentionRules = RetentionRules()


def load_rules(path: Path) -> SurveyRules:
    """Read and validate a configuration file.

    Raises `SurveyRulesError` naming the file and every mistake in it.
    """
    try:
        data = _Loader(path.read_text(encoding="utf-8")).get_single_data()
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
            f"  {'.'.join(str(part) for part in mistake['loc'])}: {_sentence(mistake['type'], mistake['msg'])}"
            for mistake in error.errors()
        )
        raise SurveyRulesError(f"The survey configuration {path} has mistakes:\n{mistakes}") from error


@cache
def default_rules() -> SurveyRules:
    """The rules that come with the package: those of DMC Academy."""
    return load_rules(DEFAULT_RULES)


class _Loader(yaml.SafeLoader):
    """YAML of which a setting given twice is a mistake; by itself YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value]
        for place, (name, _) in enumerate(node.value):
            if name.value in names[:place]:
                raise yaml.constructor.ConstructorError(
                    problem=f"{name.value} is given twice", problem_mark=name.start_mark
                )
        return super().construct_mapping(node, deep)


_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not a setting of this pipeline",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "model_type": "should be a group of settings",
    "dict_type": "should be pairs, such as example: gmail",
    "string_type": "should be text; write it in quotation marks",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
}


def _sentence(kind: str, message: str) -> str:
    return _SENTENCES.get(kind, message.removeprefix("Value error, ").replace("Input should", "should"))
