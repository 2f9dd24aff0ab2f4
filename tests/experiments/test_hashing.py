"""The numbers of the hash are a promise: they were computed once with hashlib alone."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import unit_hash
from watchkeeper.experiments.hashing import hashes_of, prefix_of, threshold

GOLDEN = [
    ("salt", "layer", "unit", 2218947546251093334),
    ("new-model", "new-model/arm", "user-1", 16488660033832399227),
    ("new-model", "new-model/inclusion", "user-1", 5596587562737420724),
    ("holdout", "holdout", "user-1", 18190455858721995433),
    ("checkout", "namespace", "user-1", 9369704609096044538),
    ("", "", "", 13315424740766375340),
    ("s", "l", "Zoë 名前 😀", 407738314979189055),
]


@pytest.mark.parametrize(("salt", "layer", "unit", "expected"), GOLDEN)
def test_given_published_vectors_when_hashed_then_they_agree(
    salt: str, layer: str, unit: str, expected: int
) -> None:
    assert unit_hash(salt, layer, unit) == expected


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_given_another_process_and_seed_of_python_when_hashed_then_it_is_the_same(
    seed: str,
) -> None:
    code = (
        "from watchkeeper.experiments import Allocation, Arm, unit_hash\n"
        "a = Allocation(experiment='e', arms=(Arm('a', 5000), Arm('b', 3000), Arm('c', 2000)))\n"
        "print(unit_hash('salt', 'layer', 'unit'), *(a.assign(str(n)).arm for n in range(20)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert said[0] == "2218947546251093334"
    # c has [0, 2000), a [2000, 7000) and b the rest of the slots
    assert "".join(said[1:]) == "accaababcacbabacabbb"


@given(units=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_given_many_units_when_hashed_together_then_each_is_as_it_is_alone(
    units: list[str],
) -> None:
    together = hashes_of(prefix_of("s", "l"), units)

    assert together.dtype == np.uint64
    assert together.tolist() == [unit_hash("s", "l", unit) for unit in units]


def test_given_thresholds_when_compared_then_they_are_the_integers_of_the_slots() -> None:
    assert threshold(0) == 0
    assert threshold(10_000) == 2**64
    assert threshold(1) == 1844674407370955
    assert threshold(3_333) == 3_333 * 2**64 // 10_000


def test_given_a_lone_surrogate_when_hashed_then_the_unit_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="without lone surrogates"):
        unit_hash("s", "l", "\ud800")
    with pytest.raises(InvalidValueError, match="without lone surrogates"):
        hashes_of(b"", ["ok", "\ud800"])
