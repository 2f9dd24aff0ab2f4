import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.experiments.slots import SLOTS, Owned, free, laid_out, moved


@st.composite
def weightings(draw: st.DrawFn, arms: int | None = None) -> list[int]:
    """Draw weights that sum to at most 10,000."""
    count = arms or draw(st.integers(1, 6))
    cuts = sorted(draw(st.lists(st.integers(0, SLOTS), min_size=count, max_size=count)))
    return [end - start for start, end in zip([0, *cuts], cuts, strict=False)]


def owners(owned: Owned) -> list[set[int]]:
    return [{slot for span in spans for slot in range(*span)} for spans in owned]


@given(weights=weightings())
def test_given_weights_when_laid_out_then_each_arm_owns_its_weight_and_no_slot_has_two(
    weights: list[int],
) -> None:
    owned = laid_out(weights)

    assert [len(own) for own in owners(owned)] == weights
    assert len(set().union(*owners(owned))) == sum(weights)
    assert sum(end - start for start, end in free(owned)) == SLOTS - sum(weights)


@given(data=st.data(), arms=st.integers(1, 6))
def test_given_phases_when_weights_change_then_no_arm_loses_more_than_its_weight_fell(
    data: st.DataObject, arms: int
) -> None:
    owned = laid_out(data.draw(weightings(arms)))
    for _ in range(3):
        before, weights = owners(owned), data.draw(weightings(arms))
        owned = moved(owned, weights)

        after = owners(owned)
        assert [len(own) for own in after] == weights
        assert len(set().union(*after)) == sum(weights)
        for old, new, weight in zip(before, after, weights, strict=True):
            assert len(old - new) == max(0, len(old) - weight)


@given(data=st.data(), arms=st.integers(2, 6))
def test_given_only_one_weight_rises_when_both_are_laid_out_then_that_arm_keeps_its_slots(
    data: st.DataObject, arms: int
) -> None:
    weights = data.draw(weightings(arms))
    fallen = [data.draw(st.integers(0, weight)) for weight in weights]
    rising = data.draw(st.integers(0, arms - 1))
    fallen[rising] = 0
    # nor does the part of nobody grow
    fallen[rising] = data.draw(st.integers(sum(weights) - sum(fallen), SLOTS - sum(fallen)))

    assert owners(laid_out(weights))[rising] <= owners(laid_out(fallen))[rising]


@pytest.mark.parametrize(("arms", "steadfast"), [(2, (0, 1)), (3, (1, 2)), (5, (1, 2))])
@given(data=st.data())
def test_given_an_outer_arm_when_laid_out_with_more_then_it_keeps_its_slots_whatever_others_do(
    arms: int, steadfast: tuple[int, ...], data: st.DataObject
) -> None:
    first, second = data.draw(weightings(arms)), data.draw(weightings(arms))
    old, new = owners(laid_out(first)), owners(laid_out(second))

    for arm in steadfast:
        assert old[arm] <= new[arm] if first[arm] <= second[arm] else new[arm] < old[arm]


def test_given_a_ramp_when_it_is_taken_in_steps_then_the_spans_stay_few() -> None:
    owned = laid_out([9_500, 300, 200])
    for step in range(1, 10):
        owned = moved(owned, [9_500 - 900 * step, 300 + 500 * step, 200 + 400 * step])

    assert max(map(len, owned)) <= 10
    assert np.isclose(sum(len(own) for own in owners(owned)), SLOTS)
