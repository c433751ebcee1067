"""The story that is told with kills and faults: what people put into raw/ and which command they call, step by step.

Files that came together never compete for the same alumnus: a pass that is repeated after a kill may take them in
another order, which nobody promised.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import yaml

from alumni_assets import layout
from alumni_assets.survey.naming import upload_id
from alumni_assets.survey_rules import DEFAULT_RULES
from alumni_assets_tests.corrections.returns import correction
from alumni_assets_tests.erasure.conftest import ID, of_person
from alumni_assets_tests.pipeline.answers import DATED, answer, answers, csv_bytes
from alumni_assets_tests.pipeline.conftest import APPROVER


@dataclass(frozen=True)
class Step:
    """What people do: put files under raw/, lose objects of the lake, and call a command.

    Called again after it was killed, it may say that it was `done_already`, which is a mistake in the call. What is old
    after `days_later` is old then; nothing else looks at a clock that is ahead.
    """

    name: str
    command: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    has_new_rules: bool = False
    days_later: int = 0

    @property
    def exit_codes(self) -> set[int]:
        return {0, 2} if self.name in {"waiver", "withdrawal"} else {0}


def _upload(key: str, content: bytes) -> str:
    return upload_id(key, sha256(content).hexdigest())


_TERM = csv_bytes(
    [
        *answers(1, 28),
        answer(28),  # an exact duplicate
        answer(29, Email="nobody"),
        answer(30, Department="HRR"),
        answer(31, Performance_Rating="9"),
        of_person(),
        of_person(Performance_Rating="9"),
    ],
    header=DATED,
)
_FIRST = csv_bytes(answers(101, 40, Performance_Rating="3"), header=DATED)
_SECOND = csv_bytes(
    [*answers(101, 39, Performance_Rating="5"), answer(7, Performance_Rating="1"), of_person(Job_Role="Chef")],
    header=DATED,
)
TERM, FIRST, SECOND = _upload("term.csv", _TERM), _upload("survey.csv", _FIRST), _upload("survey.csv", _SECOND)
_BACK = correction(TERM, {30: answer(29), 32: answer(31, Performance_Rating="8"), 34: of_person(), 3: answer(3)})

_APPROVE = ("run", "--approve", "--approved-by", APPROVER)
_ERASURE = Step("erasure", ("erase", ID, "--by", APPROVER, "--reason", "asked for it"))
_EXPIRY = Step("expiry", ("expire",), days_later=61)
STORY = (
    Step("uploads", ("run",), {"survey.csv": _FIRST, "term.csv": _TERM, "notes.pdf": b"%PDF-1.7"}),
    Step("approval", _APPROVE),
    Step("successor and duplicate", _APPROVE, {"survey.csv": _SECOND, "copy.csv": _TERM}),
    Step("correction", _APPROVE, {"back.csv": _BACK}),
    Step("waiver", ("waive", TERM, "32", "--by", APPROVER, "--reason", "nobody knows")),
    Step("withdrawal", ("withdraw", SECOND, "--by", APPROVER, "--reason", "sent by mistake")),
    Step("other rules", ("revalidate",), has_new_rules=True),
    Step("approval under other rules", _APPROVE, has_new_rules=True),
    Step("restoring", ("restore", FIRST), lost=(layout.transformed_key(FIRST),), has_new_rules=True),
    replace(_ERASURE, has_new_rules=True),
    replace(_EXPIRY, has_new_rules=True),
)

SHORT_STORY = (
    Step("uploads and approval", _APPROVE, STORY[0].files),
    Step("successor, duplicate and correction", _APPROVE, {**STORY[2].files, **STORY[3].files}),
    STORY[4],
    STORY[5],
    _ERASURE,
    _EXPIRY,
)
"""With all that a lake's objects and the warehouse are written for, in fewer commands."""


def write_rules(folder: Path, are_new: bool) -> Path:
    """The survey's rules: the project's own with ages, but for how often an upload is tried, which a harness outdoes.

    The new ones know a department that was wrong before.
    """
    rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    rules["limits"]["attempts"] = 20
    rules["retention"] |= {"raw_days": 30, "pinned_days": 60, "correction_files_days": 60}
    if are_new:
        rules["vocabularies"]["department"].append("HRR")
    path = folder / ("new.yaml" if are_new else "survey.yaml")
    path.write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
    return path
