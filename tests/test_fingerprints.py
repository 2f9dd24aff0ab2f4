import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.fingerprints import fingerprints

texts = st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=20)
_MASK = 2**64 - 1


def by_hand(text: str) -> int:
    """One text, a byte string at a time, in Python's own integers."""
    letters = text.encode()
    words = [letters[at : at + 8].ljust(8, b"\0") for at in range(0, len(letters), 8)]
    found = mixed(len(letters) ^ 0x9E3779B97F4A7C15)
    for word in words:
        found = mixed(found ^ int.from_bytes(word, "little"))
    return found


def mixed(number: int) -> int:
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


@given(given=texts, cut=st.integers(0, 20))
def test_given_texts_when_fingerprinted_then_each_has_its_own_whatever_lies_beside_it(
    given: list[str | None], cut: int
) -> None:
    whole = pa.array(given, pa.string())
    parts = pa.chunked_array([whole.slice(0, cut), whole.slice(cut)], pa.string())

    found = fingerprints(parts).to_pylist()

    assert found == [None if each is None else by_hand(each) for each in given]
    assert fingerprints(parts.dictionary_encode()).to_pylist() == found


def test_given_many_like_texts_when_fingerprinted_then_no_two_are_equal_and_bits_are_even() -> None:
    names = pa.chunked_array([[f"user-{n:07}" for n in range(200_000)]])

    found = fingerprints(names).to_numpy()

    assert len(set(found.tolist())) == len(found)
    for bit in range(64):
        assert abs(((found >> bit) & 1).mean() - 0.5) < 5 * 0.5 / len(found) ** 0.5
