"""What the messages say in which S3 tells a queue of uploads: as its user guide shows them, and what is none."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alumni_assets.upload_events import NoUploadEventError, created_keys

BUCKET = "alumni-lake"
RAW = f"s3://{BUCKET}/surveys/raw/"


def notification(*quoted_keys: str, name: str = "ObjectCreated:Put", bucket: str = BUCKET) -> str:
    """A notification as S3 itself sends it: keys quoted as in a URL's query."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": name,
            "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1024, "sequencer": "0A1B2C3D4E5F678901"}},
        }
        for key in quoted_keys
    ]
    return json.dumps({"Records": records})


def event(key: str, kind: str = "Object Created", bucket: str = BUCKET) -> str:
    """An event as EventBridge passes it on: the key as it is."""
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 5}, "reason": "PutObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail})


def test_keys_in_a_notification_of_s3_are_quoted() -> None:
    body = notification("surveys/raw/batch+one%2B.csv", "surveys/raw/%C3%91and%C3%BA.csv")
    assert created_keys(body, RAW) == ["batch one+.csv", "Ñandú.csv"]


def test_keys_in_an_event_of_eventbridge_are_plain() -> None:
    assert created_keys(event("surveys/raw/100%25 batch+one.csv"), RAW) == ["100%25 batch+one.csv"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda key: not key.endswith("/")))
def test_any_key_comes_out_of_an_event_as_it_went_in(key: str) -> None:
    assert created_keys(event(f"surveys/raw/{key}"), RAW) == [key]


@pytest.mark.parametrize("name", ["ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Post"])
def test_every_way_of_creating_an_object_counts(name: str) -> None:
    assert created_keys(notification("surveys/raw/a.csv", name=name), RAW) == ["a.csv"]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}),
        notification("surveys/raw/a.csv", name="ObjectRemoved:Delete"),
        notification("surveys/valid/a.csv", "other/raw/a.csv", "raw/a.csv"),
        notification("surveys/raw/a+folder/"),
        event("surveys/raw/a.csv", kind="Object Deleted"),
        event("surveys/archive/2026-11-27/a.csv", kind="Object Restore Completed"),
        json.dumps({"Records": []}),
    ],
)
def test_what_is_no_upload_names_no_key(body: str) -> None:
    assert created_keys(body, RAW) == []


def test_a_lake_may_be_a_whole_bucket() -> None:
    assert created_keys(event("raw/a.csv"), f"s3://{BUCKET}/raw/") == ["a.csv"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "is no JSON"),
        ("Employee_ID,Employee_Name", "is no JSON"),
        ("[1]", "is no JSON object"),
        ("{}", "is no event of S3"),
        ('{"Records": 5}', "is no event of S3"),
        ('{"Records": [{"eventName": "ObjectCreated:Put", "s3": null}]}', "is no event of S3"),
        ('{"source": "aws.ec2", "detail-type": "Object Created"}', "is no event of S3"),
        ('{"source": "aws.s3", "detail-type": "Object Created", "detail": []}', "is no event of S3"),
        (event("surveys/raw/a.csv", bucket="another"), "about another bucket than 'alumni-lake'"),
        (notification("surveys/raw/a.csv", bucket="another"), "about another bucket than 'alumni-lake'"),
    ],
)
def test_what_is_no_event_of_the_bucket_is_told_from_events(body: str, why: str) -> None:
    with pytest.raises(NoUploadEventError, match=why):
        created_keys(body, RAW)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Records", "s3", "source", "detail", "eventName", "bucket", "key"]), inner)
    ),
    max_leaves=8,
)


@given(st.text() | JSON.map(json.dumps))
def test_any_message_is_an_event_or_is_none(body: str) -> None:
    with contextlib.suppress(NoUploadEventError):
        assert created_keys(body, RAW) == []
