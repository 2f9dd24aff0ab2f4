import math
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watchkeeper.records import Finding, FindingRepository
from watchkeeper.store import ControlDatabase

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


def finding(model: str = "flights", **changes: object) -> Finding:
    fields: dict[str, object] = {
        "model": model,
        "kind": "drift",
        "bad": True,
        "summary": "drift in 1 of 2 features",
        "at": NOON,
        "start": datetime(2013, 7, 1, tzinfo=UTC),
        "end": None,
        "table_versions": {"predictions": 4},
        "evidence": {"drift_share": 0.5},
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[FindingRepository]:
    with closing(ControlDatabase(f"sqlite:///{tmp_path / 'control.db'}")) as database:
        yield FindingRepository(database)


def test_given_findings_when_kept_then_they_are_found_as_they_were_the_newest_first(
    repository: FindingRepository,
) -> None:
    kept = [repository.add(finding()), repository.add(finding(kind="quality", bad=False))]
    repository.add(finding("other"))

    assert repository.find("flights") == kept[::-1]
    assert repository.find("flights", "drift") == [kept[0]]
    assert [each.model for each in repository.find(limit=1)] == ["other"]
    assert kept[0].number is not None


def test_given_good_and_bad_ones_when_asked_for_bad_ones_then_the_others_are_left_out(
    repository: FindingRepository,
) -> None:
    bad, good = repository.add(finding()), repository.add(finding(bad=False))

    assert repository.find(bad=True) == [bad]
    assert repository.find(bad=False) == [good]


def test_given_figures_that_json_does_not_have_when_kept_then_they_are_null(
    repository: FindingRepository,
) -> None:
    repository.add(finding(evidence={"auc": math.nan, "at": NOON}))

    (kept,) = repository.find()
    assert kept.evidence == {"auc": None, "at": NOON.isoformat()}


def test_given_many_findings_when_they_are_read_unread_then_between_numbers_the_newest_first(
    repository: FindingRepository,
) -> None:
    kept = [repository.add(finding(bad=bool(number % 2))).number for number in range(6)]
    repository.add(finding("other"))
    repository.add(finding(kind="quality"))

    found = repository.unread("flights", "drift", after=kept[0] or 0, before=kept[5], limit=3)

    assert [each.number for each in found] == kept[4:1:-1]
    assert [each.bad for each in found] == [False, True, False]
    assert found[0].at == NOON
    assert found[0].end is None
    assert found[0].evidence.replace(" ", "") == '{"drift_share":0.5}'
