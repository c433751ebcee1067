"""The survey as a Dagster resource: its contract, and where the pipeline keeps its own files."""

from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from alumni_assets.contract import Contract
from alumni_assets.register import Register
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.survey_rules import load_rules


class SurveyResource(ConfigurableResource):
    """What the assets know about the survey."""

    rules: str = Field(description="The survey's configuration file.")
    home: str = Field(description="The folder for the pipeline's own files, on a local disk.")
    memory_limit: str = Field(default="500MB", description="DuckDB's memory for work on one upload.")

    _contract: Contract | None = PrivateAttr(default=None)

    def contract(self) -> Contract:
        """The contract with the rules of the configuration file, read once. Raises SurveyRulesError."""
        if self._contract is None:
            self._contract = Contract(load_rules(Path(self.rules)))
        return self._contract

    def register_of(self, lake: Lake) -> Register:
        """The register of a lake."""
        return Register(lake, Path(self.home))
