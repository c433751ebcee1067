"""The fixtures of the pipeline's tests, and of the command's."""

from ..pipeline.conftest import changed_rules, own_environment, pipeline
from ..pipeline.test_command import alumni

__all__ = ["alumni", "changed_rules", "own_environment", "pipeline"]
