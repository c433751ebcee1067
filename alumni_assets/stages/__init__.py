"""The stages of an upload's way, each a few functions on the lake: intake, validation, approval, …

They know the lake, the register and the survey logic, but not Dagster: `assets/` wraps them.
"""
