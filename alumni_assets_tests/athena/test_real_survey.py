"""The real survey: Athena shows the figures that were published from it."""

import pytest

from ..pipeline.conftest import REAL_FILE
from .conftest import PipelineWithViews

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.long]


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey file is not beside this repository")
def test_the_real_survey_gives_the_published_figures_in_athena(with_views: PipelineWithViews) -> None:
    upload = with_views.take_in_file("dmc.csv", REAL_FILE.read_bytes())
    with_views.approve(upload)
    assert with_views.check()[0]
    assert with_views.in_athena("SELECT count(*) FROM alumni") == [(1000,)]
    assert with_views.in_athena("SELECT dmc_campus, alumni, excellent FROM campus_excellence LIMIT 1") == [
        ("Main", 457, 86)
    ]
    degrees = dict(with_views.in_athena("SELECT college_degree, round(mean_rating, 2) FROM degree_performance"))
    assert (degrees["Accountancy"], degrees["Education"]) == (3.20, 2.88)
