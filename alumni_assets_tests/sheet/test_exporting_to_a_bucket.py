"""The same exporter where the lake is a bucket of S3."""

from collections import Counter

import pytest

from alumni_assets_tests.lake.conftest import (  # noqa: F401
    BucketPlace,
    aws_settings,
    bucket_place,
    s3_client,
    s3_server,
)
from alumni_assets_tests.sheet.conftest import Desk, Sheet, WatchedLake, answer

pytestmark = pytest.mark.server


class KilledError(BaseException):
    """Stands for a process that is gone."""


def test_killed_at_any_write_to_a_bucket_no_answer_is_lost_or_doubled(
    desk: Desk,
    sheet: Sheet,
    bucket_place: BucketPlace,  # noqa: F811
) -> None:
    desk.lake = bucket_place.lake
    for write in (1, 2, 3, 4):

        def kill(number: int, _key: str, write: int = write) -> None:
            if number == write:
                raise KilledError

        sheet.rows.append(answer(10 + write))
        with pytest.raises(KilledError):
            desk.export(lake=WatchedLake(desk.lake, kill, lambda *_: None))
        sheet.rows.append(answer(20 + write))
        desk.export()
    assert desk.export(home=desk.folder / "another home").new == 0
    assert Counter(desk.exported()) == Counter(sheet.rows)
    assert not list(desk.lake.list("sheet/"))
