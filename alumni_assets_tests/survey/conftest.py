"""What the tests of the survey logic share."""

import pytest
from hypothesis import HealthCheck, settings

from alumni_assets.contract import Contract, default_contract
from alumni_assets.survey_rules import SurveyRules

settings.register_profile("survey", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("survey")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return default_contract()


@pytest.fixture(scope="session")
def rules(contract: Contract) -> SurveyRules:
    return contract.rules
