"""The auto-approve policy: which uploads need no person, where the survey's configuration has `approval.auto`.

What any approval needs is in `approval.py`.
"""

from alumni_assets.stages.approval import waiting
from alumni_assets.survey.drift import shifts_of
from alumni_assets.survey.quarantine import Quarantine
from alumni_assets.survey.standing import Facts, standings
from alumni_assets.survey_rules import SurveyRules

AUTO_APPROVER = "auto-approve policy"


def may_approve_itself(facts: Facts, rules: SurveyRules) -> list[str]:
    """The waiting uploads that the auto-approve policy lets through; none when it is off."""
    if not rules.approval.auto:
        return []
    quarantine = Quarantine(facts, standings(facts))
    return [
        upload
        for upload in waiting(facts)
        if not quarantine.blocking_checks(upload)
        and quarantine.open_share(upload) <= rules.approval.max_invalid_share
        and not shifts_of(facts, upload, rules.drift)
    ]
