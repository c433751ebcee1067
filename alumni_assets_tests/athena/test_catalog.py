"""What is entered into the catalog: tables with the contract's columns, and views in SQL that Athena takes."""

import pytest
import sqlglot
from sqlglot import exp

from alumni_assets.athena.catalog import STORED_TABLES, TRANSFORMED, VIEWS, view_statement
from alumni_assets.contract_arrow import TRANSFORMED_SCHEMA
from alumni_assets.queries import DERIVED_QUERIES, TABLE_OF_QUERY
from alumni_assets.warehouse.tables import TABLES


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_made_in_a_statement_of_athenas_dialect(view: str) -> None:
    (parsed,) = sqlglot.parse(view_statement(view), read="athena")
    assert isinstance(parsed, exp.Create)
    assert (parsed.kind, parsed.args["replace"], parsed.this.name) == ("VIEW", True, view)
    assert isinstance(parsed.expression, exp.Select)


def test_a_view_reads_only_tables_and_views_that_are_there_before_it() -> None:
    there = {table.name for table in STORED_TABLES}
    for view in VIEWS:
        parsed = sqlglot.parse_one(view_statement(view), read="athena")
        assert parsed.expression is not None
        own = {cte.alias for cte in parsed.find_all(exp.CTE)}
        assert {table.name for table in parsed.expression.find_all(exp.Table)} - own <= there, view
        there.add(view)


def test_there_is_a_view_of_the_responses_and_of_every_table_that_is_made_by_sql() -> None:
    assert set(VIEWS) == {"survey_responses", *(TABLE_OF_QUERY.get(name, name) for name in DERIVED_QUERIES)}
    assert set(VIEWS) <= set(TABLES)


def test_the_table_of_transformed_rows_has_the_columns_of_the_stored_files() -> None:
    columns = TRANSFORMED.as_table_input("s3://lake/transformed/")["StorageDescriptor"]["Columns"]
    assert [column["Name"] for column in columns] == TRANSFORMED_SCHEMA.names
    assert {column["Name"]: column["Type"] for column in columns} == {
        "employee_id": "bigint",
        "employee_name": "string",
        "college_degree": "string",
        "department": "string",
        "job_role": "string",
        "dmc_campus": "string",
        "email": "string",
        "phone_number": "string",
        "performance_rating": "tinyint",
        "submission_date": "timestamp",
        "upload": "string",
        "source_row": "bigint",
        "corrected_by": "string",
        "received_at": "timestamp",
    }


def test_every_table_and_column_is_described_in_no_more_than_the_catalog_keeps() -> None:
    for table in STORED_TABLES:
        assert 0 < len(table.comment) <= 2048
        for column in table.columns:
            assert 0 < len(column.comment) <= 255, column.name
