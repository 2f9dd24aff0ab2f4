"""What is stored of a result is read again, whatever its numbers and texts are."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import ExperimentReport
from watchkeeper.experiments.analysis import DifferencePoint
from watchkeeper.incidents import Incident
from watchkeeper.results import Result
from watchkeeper.retraining.gate import GateReport
from watchkeeper.rollouts.shadow import Shadow, ShadowReport
from watchkeeper.stats import BayesianReport, SequentialSampleRatio

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Share(Result):
    value: float
    of: int
    note: str = ""


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=25)
@pytest.mark.parametrize(
    "kind", [ExperimentReport, GateReport, BayesianReport, SequentialSampleRatio]
)
@given(data=st.data())
def test_given_any_numbers_when_a_stored_result_is_read_then_it_is_stored_the_same_again(
    kind: type[Result], data: st.DataObject
) -> None:
    stored = data.draw(st.from_type(kind)).to_json()

    assert kind.from_dict(json.loads(stored)).to_json() == stored


@given(figure=st.floats() | st.none(), pairs=st.integers(0, 2**53))
def test_given_any_figure_when_a_stored_comparison_of_a_shadow_is_read_then_it_is_the_same(
    figure: float | None, pairs: int
) -> None:
    shadow = Shadow(name="july", model="late", version="2.0.0", started_at=NOW)
    names = [name for name in ShadowReport.__dataclass_fields__ if name not in {"shadow", "pairs"}]
    described: dict[str, Any] = dict.fromkeys(names, figure) | {"failed": 0, "labelled": 0}
    stored = ShadowReport(shadow=shadow, pairs=pairs, **described).to_json()

    assert ShadowReport.from_dict(json.loads(stored)).to_json() == stored


@example(text="\ud800\x00", number=inf)
@given(text=st.text(st.characters()), number=st.floats())
def test_given_any_text_and_evidence_when_an_incident_is_stored_then_it_is_read_as_it_was(
    text: str, number: float
) -> None:
    noted = f"seen: {text}"
    incident = Incident(
        name="july", model="late", title=text, severity="warning", source="person", opened_at=NOW
    ).told(NOW, "ada", noted, {"figure": number, text: [text]})

    read = Incident.from_dict(json.loads(incident.to_json()))

    assert (read.title, read.timeline[0].what, read.timeline[0].at) == (text, noted, NOW)
    assert read.to_json() == incident.to_json()


def test_given_bounds_without_end_when_they_are_read_then_they_have_none_again() -> None:
    stored = DifferencePoint(NOW, nan, -inf, inf).to_json()

    read = DifferencePoint.from_dict(json.loads(stored))

    assert isnan(read.difference)
    assert (read.low, read.high) == (-inf, inf)


def test_given_a_document_of_another_version_when_it_is_read_then_defaults_fill_what_it_lacks() -> (
    None
):
    assert Share.from_dict({"value": 1, "of": 2, "gone": [1]}) == Share(1.0, 2)


@pytest.mark.parametrize("stored", [{"value": 1.0}, {"value": 1.0, "of": "two"}, {"of": 2}])
def test_given_a_document_of_another_shape_when_it_is_read_then_the_error_names_the_field(
    stored: dict[str, Any],
) -> None:
    with pytest.raises(InvalidValueError, match=r"stored Share is .*`(of|value)`|\$\.of"):
        Share.from_dict(stored)
