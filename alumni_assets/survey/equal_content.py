"""Uploads with the same bytes: which there are, and which of them only repeat another.

A pure function of what the register holds. Where each stands by itself is in `standing.py`; what is entered of one that
repeats another, in `stages/intake.py`.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from alumni_assets.survey.standing import Facts, Status, standings_of


def same_content(facts: Facts, upload: str) -> list[str]:
    """Other uploads with the same bytes, the first seen first."""
    digest = facts.seen[upload].sha256
    others = [seen for seen in facts.seen.values() if seen.sha256 == digest and seen.upload != upload]
    return [seen.upload for seen in sorted(others, key=lambda seen: (seen.received_at, seen.upload))]


def repetitions(facts: Facts, uploads: Iterable[str]) -> dict[str, str]:
    """Of the uploads with the contents of these, those that wait and only repeat another; for each, which one.

    Of equal contents one is alive at a time, unless they were judged at the same time, or by rules that had rejected
    one before. Then the one stays that counts or is approved; else one of which a person has corrected rows or given
    rows up; else the first received.
    """
    equal: dict[str, list[str]] = defaultdict(list)
    for seen in facts.seen.values():
        equal[seen.sha256].append(seen.upload)
    digests = {facts.seen[upload].sha256 for upload in uploads if upload in facts.seen}
    groups = [equal[digest] for digest in digests if len(equal[digest]) > 1]
    stands = standings_of(facts, [upload for group in groups for upload in group])
    spoken_of = _spoken_of(facts) if groups else set()

    def is_settled(upload: str) -> bool:
        return stands[upload].counts or stands[upload].status is Status.APPROVED

    def rank(upload: str) -> tuple[bool, bool, datetime, str]:
        return not is_settled(upload), upload not in spoken_of, facts.seen[upload].received_at, upload

    alive = [sorted((some for some in group if stands[some].is_alive), key=rank) for group in groups]
    return {
        upload: first
        for first, *others in filter(None, alive)
        for upload in others
        if not is_settled(upload) and (is_settled(first) or upload not in spoken_of)
    }


def _spoken_of(facts: Facts) -> set[str]:
    corrected = {ingested.corrects for ingested in facts.ingested.values()}
    return {upload for upload in facts.seen if facts.waivers.get(upload)} | corrected
