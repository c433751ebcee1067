"""That measurements measure: memory and CPU of children, ratios within rounds, tables kept in their place."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import page, table
from benchmarks.contenders.ours import Upload
from benchmarks.measuring import CommandFailedError, Measured, measured
from benchmarks.rounds import Contender, Results, run_rounds
from benchmarks.table import Table

_CHILD_OF_100_MB = """
import json, subprocess, sys
subprocess.run([sys.executable, "-c", "import time; block = b'x' * 100_000_000; time.sleep(0.5); sum(range(9**7))"])
print(json.dumps({"rows_out": 7}))
"""


def _contender(name: str, code: str = "pass") -> Contender:
    return Contender(name, name, lambda _: [sys.executable, "-c", code])


def _run(wall: float, memory: int = 1) -> Measured:
    return Measured(wall=wall, cpu=wall, memory=memory, private=memory)


@pytest.mark.slow
def test_memory_and_cpu_time_of_a_child_count(tmp_path: Path) -> None:
    run = measured([sys.executable, "-c", _CHILD_OF_100_MB], tmp_path)
    assert run.memory > 100_000_000
    assert run.private > 100_000_000
    assert run.cpu > 0.05
    assert run.wall > 0.5
    assert run.said == {"rows_out": 7}


def test_a_command_that_fails_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="no such luck"):
        measured([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)


def test_settings_of_whoever_measures_do_not_reach_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALUMNI_LAKE", "/elsewhere")
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    code = (
        "import json, os; print(json.dumps({'seen': [n for n in os.environ if n.startswith(('ALUMNI', 'DAGSTER'))]}))"
    )
    assert measured([sys.executable, "-c", code], tmp_path).said == {"seen": []}


def test_contenders_take_turns_at_being_first_and_one_that_fails_is_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    contenders = [_contender("a"), _contender("b", "raise SystemExit(3)"), _contender("c")]
    results = run_rounds(contenders, 2, tmp_path, told.append)
    assert [line.split(",")[1].split(":")[0].strip() for line in told] == ["a", "b", "c", "c", "a"]
    assert [set(one) for one in results.rounds] == [{"a", "c"}, {"a", "c"}]
    assert "ended with 3" in results.absent["b"]
    assert list(tmp_path.iterdir()) == []


def test_ratios_are_taken_within_a_round() -> None:
    results = Results([{"a": _run(2), "b": _run(1)}, {"a": _run(40), "b": _run(10)}, {"b": _run(1000)}])
    ratios = table.ratios([_contender("a"), _contender("b")], results, [("a", "b")])
    assert ratios.rows == (("a ÷ b", "3.00 (2.00 to 4.00)", "3.00 (2.00 to 4.00)", "1.00 (1.00 to 1.00)", "2"),)


def test_a_table_is_kept_between_its_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    kept = tmp_path / "page.md"
    kept.write_text("above\n<!-- bench:one -->\nold\n<!-- /bench -->\nbetween\n<!-- bench:two -->\n<!-- /bench -->\n")
    content = page.block([Table(("", "wall s"), (("ours", "1.00"),))], ["A remark."])
    assert page.keep(kept, "one", content)
    assert kept.read_text() == (
        "above\n<!-- bench:one -->\n|  | wall s |\n| :--- | ---: |\n| ours | 1.00 |\n\nA remark.\n"
        "<!-- /bench -->\nbetween\n<!-- bench:two -->\n<!-- /bench -->\n"
    )
    assert not page.keep(kept, "three", content)


def test_ours_does_the_whole_of_what_an_upload_goes_through(tmp_path: Path) -> None:
    from alumni_assets.contract import default_contract
    from alumni_assets.survey.sampling import write_sample

    source = tmp_path / "survey.csv"
    write_sample(source, 500, 0.1, 3, default_contract())
    upload = Upload(source, tmp_path / "run")
    found = upload.whole(is_checked=True)
    assert found["valid"] + found["invalid"] == 500
    assert found["invalid"] > 0
    assert found["rows_out"] == found["valid"]
    folders = {entry.key.split("/")[0] for entry in upload.lake.list("")}
    assert {"pinned", "valid", "invalid", "transformed", "archive", "register"} <= folders
    json.dumps(upload.seconds)
