"""The check of docstrings sees what is missing, and what is there."""

import ast

import pytest
from tests.docstrings import faults

COMPLETE = '''
class Scale:
    """What weighs.

    Parameters
    ----------
    most : float

    Raises
    ------
    BrokenError
        If it does not move.
    """

    def __init__(self, most: float) -> None:
        raise BrokenError

    def weigh(self, item: str, *items: str, unit: str = "kg", **options: object) -> float:
        """Return the weight.

        Parameters
        ----------
        item : str
            The first
            of them.
        *items : str
        unit : str
        **options : object

        Returns
        -------
        float

        Raises
        ------
        HeavyError
            If it is too much.
        BrokenError
            If it does not move.
        """
        self._require_whole()
        if unit == "t":
            raise HeavyError(item)
        return 1.0

    def _require_whole(self):
        _require(self.whole)

    def each(self) -> Iterator[float]:
        """Yield the weights.

        Yields
        ------
        float
        """
        yield 1.0

    @property
    def limit(self) -> float:
        """Most that it carries."""
        return 1.0

    def close(self) -> None:
        """Close it."""
        def later(at):
            raise HeavyError(at)
        self.later = later

    def sell(self) -> None:
        """Sell it."""
        try:
            raise HeavyError(self)
        except Exception as error:
            raise OSError from error

    def _tare(self, weight):
        raise HeavyError(weight)

def _require(whole):
    if not whole:
        raise BrokenError

def try_it(scale: Scale) -> bool:
    """Return whether it moves.

    Parameters
    ----------
    scale : Scale

    Returns
    -------
    bool
    """
    try:
        _require(scale)
    except BrokenError:
        return False
    return True

@command(commands, "weigh")
def weigh(item: str) -> int:
    """Weigh an item."""
    return 0
'''


def _faults(source: str) -> list[str]:
    tree = ast.parse(source)
    return [
        fault
        for _, fault in faults(tree, errors={"HeavyError", "BrokenError"}, documented={"weigh"})
    ]


def test_given_a_complete_docstring_when_checked_then_nothing_is_missing() -> None:
    assert _faults(COMPLETE) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("        unit : str\n", "", "weigh does not document its parameter unit"),
        ("        *items : str\n", "", "weigh does not document its parameter *items"),
        ("unit : str\n", "unit, tare : str\n", "weigh documents tare, which is no parameter"),
        ("Returns\n        -------\n        float\n", "", "weigh has no section Returns"),
        ("Yields\n        ------\n        float\n", "", "each has no section Yields"),
        ("        HeavyError\n", "", "weigh raises HeavyError and does not name it"),
        ("        BrokenError\n", "", "weigh raises BrokenError and does not name it"),
        ('        """Close it."""\n', "", "close has no docstring"),
    ],
)
def test_given_one_thing_left_out_when_checked_then_it_is_named(
    before: str, after: str, fault: str
) -> None:
    assert before in COMPLETE

    assert _faults(COMPLETE.replace(before, after, 1)) == [f"Scale.{fault}"]


def test_given_a_method_of_a_protocol_when_it_has_no_docstring_then_nothing_is_missing() -> None:
    assert _faults("class Kitchen:\n    def weigh(self, item): ...\n") == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("    most : float\n", "does not document its parameter most"),
        ("    BrokenError\n", "raises BrokenError and does not name it"),
    ],
)
def test_given_a_class_that_does_not_tell_of_its_constructor_when_checked_then_it_is_named(
    line: str, fault: str
) -> None:
    assert _faults(COMPLETE.replace(line, "", 1)) == [f"Scale {fault}"]
