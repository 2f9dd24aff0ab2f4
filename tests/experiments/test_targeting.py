from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import Equals, In, Not, Range, Targeting

words = st.text(min_size=1)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(words, st.integers(), st.booleans(), finite)
ranges = st.builds(Range, words, st.floats(-10, 0), st.one_of(st.none(), st.floats(1, 10)))
rules = st.recursive(
    st.one_of(
        st.builds(Equals, words, scalars),
        st.builds(In, words, st.lists(scalars, min_size=1).map(tuple)),
        ranges,
    ),
    lambda inner: st.builds(Not, inner),
    max_leaves=4,
)


@given(targeting=st.builds(Targeting, st.lists(rules).map(tuple)))
def test_given_rules_when_written_as_plain_data_and_read_then_they_are_the_same(
    targeting: Targeting,
) -> None:
    assert Targeting.from_dicts(targeting.to_dicts()) == targeting


@pytest.mark.parametrize(
    ("rule", "given_", "expected"),
    [
        ({"attribute": "a", "equals": "UA"}, "UA", True),
        ({"attribute": "a", "equals": "UA"}, "ua", False),
        ({"attribute": "a", "equals": 5}, 5.0, True),
        ({"attribute": "a", "equals": 5}, "5", False),
        ({"attribute": "a", "equals": 1}, True, False),
        ({"attribute": "a", "equals": True}, 1, False),
        ({"attribute": "a", "equals": True}, True, True),
        ({"attribute": "a", "equals": "x"}, ["x"], False),
        ({"attribute": "a", "in": ["x", 2]}, 2, True),
        ({"attribute": "a", "in": ["x", 2]}, "y", False),
        ({"attribute": "a", "at_least": 1, "below": 2}, 1, True),
        ({"attribute": "a", "at_least": 1, "below": 2}, 2, False),
        ({"attribute": "a", "below": 2}, float("-inf"), True),
        ({"attribute": "a", "at_least": 2}, 1, False),
        ({"not": {"attribute": "a", "equals": "x"}}, "y", True),
        ({"not": {"not": {"attribute": "a", "equals": "x"}}}, "x", True),
    ],
)
def test_given_a_value_when_matched_then_the_rule_says_what_it_reads(
    rule: dict[str, Any], given_: object, expected: bool
) -> None:
    assert Targeting.from_dicts([rule]).matches({"a": given_}) is expected


@pytest.mark.parametrize("attributes", [{}, {"a": None}, {"a": float("nan")}])
@pytest.mark.parametrize(
    "rule",
    [
        {"attribute": "a", "equals": "x"},
        {"attribute": "a", "in": ["x"]},
        {"attribute": "a", "below": 1},
    ],
)
def test_given_nothing_known_when_matched_then_neither_a_rule_nor_its_negation_holds(
    rule: dict[str, Any], attributes: dict[str, Any]
) -> None:
    assert not Targeting.from_dicts([rule]).matches(attributes)
    assert not Targeting.from_dicts([{"not": rule}]).matches(attributes)


def test_given_a_word_where_numbers_are_compared_when_matched_then_it_is_unknown() -> None:
    rule = {"attribute": "a", "below": 1}

    assert not Targeting.from_dicts([{"not": rule}]).matches({"a": "many"})
    assert not Targeting.from_dicts([{"not": rule}]).matches({"a": True})


def test_given_no_rules_when_matched_then_everyone_is_targeted() -> None:
    assert Targeting().matches({})


@pytest.mark.parametrize(
    ("rules_", "words_"),
    [
        ("carrier", "array of rules"),
        ([{"attribute": "a"}], r"targeting\[0\]"),
        ([{"attribute": "a", "equals": 1}, {"equal": 1, "attribute": "a"}], r"targeting\[1\]"),
        ([{"attribute": "a", "equals": 1, "in": [1]}], r"targeting\[0\]"),
        ([{"not": "a"}], r"targeting\[0\]\.not"),
        ([{"attribute": "", "equals": 1}], "name of a feature"),
        ([{"attribute": "a", "equals": None}], "a string, a finite number or a boolean"),
        ([{"attribute": "a", "equals": float("nan")}], "a string, a finite number or a boolean"),
        ([{"attribute": "a", "equals": float("inf")}], "a string, a finite number or a boolean"),
        ([{"attribute": "a", "in": "xyz"}], "array of values"),
        ([{"attribute": "a", "in": []}], "array of values"),
        ([{"attribute": "a", "in": [[1]]}], "a string, a finite number or a boolean"),
        ([{"attribute": "a", "at_least": "1"}], "a finite number"),
        ([{"attribute": "a", "at_least": float("nan")}], "a finite number"),
        ([{"attribute": "a", "at_least": 0, "below": float("inf")}], "a finite number"),
        ([{"attribute": "a", "at_least": 2, "below": 2}], "above at_least"),
    ],
)
def test_given_no_rule_when_read_then_the_error_names_it(rules_: Any, words_: str) -> None:
    with pytest.raises(InvalidValueError, match=words_):
        Targeting.from_dicts(rules_)


def test_given_a_range_without_bounds_when_made_then_it_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="at_least, below or both"):
        Range("a")
