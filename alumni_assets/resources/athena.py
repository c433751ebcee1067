"""Athena as a Dagster resource: runs statements in a workgroup, and enters tables into its catalog.

PyAthena does the work. dagster-aws' Athena resource takes no region, session token or endpoint, and breaks on line
breaks in values. What is run and entered is decided in `athena/`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource
from pydantic import Field, PositiveFloat, PrivateAttr

from alumni_assets.resources.roles import Component, session_of

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from pyathena.connection import Connection
    from pyathena.cursor import Cursor

    from alumni_assets.athena.views import Relation


class AthenaError(Exception):
    """Athena has not done what it was asked to; the message says why, and shows the query."""


class AthenaResource(ConfigurableResource):
    """A workgroup, which says where results are stored, and a database of the catalog; both must exist."""

    workgroup: str = Field(description="The Athena workgroup.")
    database: str = Field(description="The database in AWS Glue's catalog.")
    roles: str = Field(default="", description="How the ARNs of the components' AWS roles begin; empty without them.")
    poll_seconds: PositiveFloat = Field(default=1.0, description="How often a running query is asked after.")

    _connection: "Connection[Cursor] | None" = PrivateAttr(default=None)
    _glue: "GlueClient | None" = PrivateAttr(default=None)

    def run(self, statement: str) -> "Relation":
        """Run a statement to its end; returns its rows, fetched page by page, as Python values of the columns' types.

        Raises AthenaError. The query is stopped when the process is interrupted meanwhile.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # these take their time to import
        from pyathena.error import Error

        from alumni_assets.athena.views import Relation

        try:
            cursor = self._opened().cursor()
            cursor.execute(statement)
            columns = tuple(name for name, *_ in cursor.description or ())
            return Relation(columns, [tuple(row) for row in cursor.fetchall()])
        except (Error, BotoCoreError, ClientError) as error:
            raise AthenaError(
                f"Athena (workgroup {self.workgroup}, database {self.database}) has not run this query: {error}\n"
                f"{statement}"
            ) from error

    def enter_table(self, table_input: Mapping[str, Any]) -> None:
        """Make a table in the catalog, or change it to this. Raises AthenaError."""
        from botocore.exceptions import BotoCoreError, ClientError

        wanted: Any = {"DatabaseName": self.database, "TableInput": table_input}
        try:
            glue = self._catalog()
            try:
                glue.create_table(**wanted)
            except glue.exceptions.AlreadyExistsException:
                glue.update_table(**wanted)
        except (BotoCoreError, ClientError) as error:
            raise AthenaError(
                f"The table {table_input['Name']} cannot be entered into the catalog's database {self.database}: "
                f"{error}. Does the database exist, and may the role use it?"
            ) from error

    def _opened(self) -> "Connection[Cursor]":
        if self._connection is None:
            from pyathena import connect

            self._connection = connect(
                session=session_of(self.roles, Component.WAREHOUSE),
                work_group=self.workgroup,
                schema_name=self.database,
                s3_staging_dir="",  # the workgroup's; else the environment would be asked
                poll_interval=self.poll_seconds,
            )
        return self._connection

    def _catalog(self) -> "GlueClient":
        if self._glue is None:
            self._glue = session_of(self.roles, Component.WAREHOUSE).client("glue")
        return self._glue
