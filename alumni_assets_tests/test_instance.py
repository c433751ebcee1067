"""Which instance of Dagster the command works on."""

from pathlib import Path

import pytest

from alumni_assets.instance import InstanceError, open_instance


def test_a_dagster_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(InstanceError, match=r"DAGSTER_HOME is .*/nowhere, which is no folder\. Create it, or set it"):
        open_instance(tmp_path, str(nowhere), tmp_path)
    assert not nowhere.exists()
