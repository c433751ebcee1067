"""The real survey: from the file in raw/ to the figures of the old dashboard."""

import pytest

from .conftest import APPROVER, REAL_FILE, Pipeline

pytestmark = pytest.mark.skipif(not REAL_FILE.exists(), reason="the real survey is not beside the repository")

MEAN_RATING_BY_DEGREE = {
    "Accountancy": 3.20,
    "Computer Science": 3.08,
    "Psychology": 3.08,
    "Business Administration": 3.07,
    "Information Technology": 3.06,
    "Communications": 3.05,
    "Political Science": 3.03,
    "Engineering": 3.02,
    "Human Resource Management": 3.01,
    "Education": 2.88,
}
ALUMNI_AND_EXCELLENT_BY_CAMPUS = {
    "Main": (457, 86),
    "San Fernando": (92, 16),
    "Apalit": (90, 15),
    "Santo Tomas": (79, 22),
    "Candaba": (74, 14),
    "Porac": (72, 18),
    "Mexico": (71, 12),
    "Lubao": (65, 17),
}
ALUMNI_AND_RATING_BY_DEPARTMENT = {
    "R&D": (166, 3.29),
    "Operations": (152, 2.90),
    "Admin": (146, 3.11),
    "Tech": (144, 3.24),
    "HR": (141, 2.74),
    "Marketing": (130, 2.89),
    "Finance": (121, 3.13),
}
JOB_ROLES = [
    ("Finance Officer", 116),
    ("Teacher", 108),
    ("Product Manager", 104),
    ("Software Engineer", 102),
    ("System Administrator", 102),
    ("Marketing Associate", 101),
    ("Project Manager", 99),
    ("Research Assistant", 96),
    ("HR Specialist", 91),
    ("Data Analyst", 81),
]


@pytest.fixture(scope="module")
def real(shared_pipeline: Pipeline) -> Pipeline:
    """The pipeline after the real survey was taken in and approved."""
    upload = shared_pipeline.put_and_take_in(REAL_FILE.name, REAL_FILE.read_bytes())
    assert shared_pipeline.approve(upload).success
    return shared_pipeline


def test_all_rows_are_valid(real: Pipeline) -> None:
    rows = real.published("SELECT status, row_count, valid, invalid, transformed, exact_duplicates FROM uploads")
    assert rows == [("transformed", 1000, 1000, 0, 1000, 0)]
    assert real.published("SELECT count(*) FROM quarantine") == [(0,)]


def test_there_are_1000_alumni_each_with_one_row(real: Pipeline) -> None:
    assert real.published("SELECT count(*), count(DISTINCT employee_id) FROM alumni") == [(1000, 1000)]
    assert real.published("SELECT count(*) FROM survey_responses") == [(1000,)]


def test_mean_ratings_by_degree_are_those_of_the_dashboard(real: Pipeline) -> None:
    found = real.published("SELECT college_degree, round(mean_rating, 2) FROM degree_performance")
    assert dict(found) == MEAN_RATING_BY_DEGREE
    assert [degree for degree, _ in found] == list(MEAN_RATING_BY_DEGREE)


def test_alumni_by_campus_are_those_of_the_dashboard(real: Pipeline) -> None:
    found = real.published("SELECT dmc_campus, alumni, excellent FROM campus_excellence")
    assert {campus: (alumni, excellent) for campus, alumni, excellent in found} == ALUMNI_AND_EXCELLENT_BY_CAMPUS
    assert [excellent for _, _, excellent in found] == sorted((row[2] for row in found), reverse=True)


def test_alumni_and_ratings_by_department_are_those_of_the_dashboard(real: Pipeline) -> None:
    found = real.published("SELECT department, alumni, round(mean_rating, 2) FROM department_employment")
    assert {department: (alumni, mean) for department, alumni, mean in found} == ALUMNI_AND_RATING_BY_DEPARTMENT
    assert [department for department, _, _ in found] == list(ALUMNI_AND_RATING_BY_DEPARTMENT)


def test_job_roles_are_those_of_the_dashboard(real: Pipeline) -> None:
    assert real.published("SELECT job_role, alumni FROM job_roles") == JOB_ROLES


def test_the_top_employees_are_100_of_each_department(real: Pipeline) -> None:
    found = real.published("SELECT department, count(*), max(rank) FROM top_employees GROUP BY department")
    assert {department: (rows, last) for department, rows, last in found} == dict.fromkeys(
        ALUMNI_AND_RATING_BY_DEPARTMENT, (100, 100)
    )


def test_a_row_is_as_the_old_table_showed_it(real: Pipeline) -> None:
    (row,) = real.published(
        "SELECT department, employee_name, job_role, college_degree, email, phone_number, dmc_campus, "
        "performance_rating, upload, source_row FROM alumni WHERE employee_id = 190029"
    )
    assert row == (
        "Admin",
        "Donna Thompson",
        "Research Assistant",
        "Education",
        "CabreRAkimBeRlY@gmail.com",
        "+63 9399875611",
        "Porac",
        5,
        real.upload_of(REAL_FILE.name),
        2,
    )


def test_the_upload_tells_who_approved_it(real: Pipeline) -> None:
    assert real.published("SELECT approved_by FROM uploads") == [(APPROVER,)]


def test_no_personal_data_of_the_survey_is_in_the_event_store(real: Pipeline) -> None:
    people = real.published("SELECT employee_name, email, phone_number FROM alumni")
    events = real.events()
    found = [
        value
        for name, email, phone in people
        for value in (name, email, email.partition("@")[0], phone.removeprefix("+63 "))
        if value in events
    ]
    assert found == []
