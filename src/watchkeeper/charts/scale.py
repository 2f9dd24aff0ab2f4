"""From values to heights in a plot, and the round numbers beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watchkeeper.charts import ticks

__all__ = ["Scale", "fitted", "floats"]

_HUGE = 1e300  # beyond it, differences overflow
_ROOM = 1.5  # how far a band may stretch the plot, in ranges of the values themselves


@dataclass(frozen=True, slots=True)
class Scale:
    """Values between `low` and `high` stand between the heights `bottom` and `top`."""

    low: float
    high: float
    top: float
    bottom: float
    ticks: tuple[float, ...]
    step: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the height of a value; one that is off the scale stands at its edge.

        Parameters
        ----------
        value : float

        Returns
        -------
        float
            From `top` to `bottom`.
        """
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def floats(values: Iterable[float | None]) -> list[float]:
    """Return values as floats, NaN where there is none; what is huge is cut.

    Parameters
    ----------
    values : iterable of float or None

    Returns
    -------
    list of float
    """
    numbers = [math.nan if value is None else float(value) for value in values]
    if any(map(_is_huge, numbers)):
        return [math.copysign(_HUGE, v) if _is_huge(v) and math.isfinite(v) else v for v in numbers]
    return numbers


def _is_huge(value: float) -> bool:
    return value > _HUGE or value < -_HUGE


def fitted(
    values: Sequence[float],
    bands: Sequence[float] = (),
    *,
    top: float,
    bottom: float,
    unit: str = "",
    zero: bool = False,
    log: bool = False,
    count: int | None = None,
) -> Scale:
    """Return a scale that shows all `values`, and of the bands what leaves them readable.

    Early intervals can be hundreds of times as wide as what they are about. They may stretch the
    plot, but not so far that the line in it becomes flat.

    Parameters
    ----------
    values : sequence of float
        All of them are shown.
    bands : sequence of float
        Ends of intervals.
    top : float
        Where the largest value stands, in pixels or as a share.
    bottom : float
        Where the smallest one stands.
    unit : str
    zero : bool
        Whether 0 is on the scale.
    log : bool
        Whether the scale is logarithmic.
    count : int, optional
        About how many steps the ticks divide it into, by default as many as the height has room
        for.

    Returns
    -------
    Scale
    """
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    low, high = (min(finite), max(finite)) if finite else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        return _logarithmic(low, high, top, bottom)
    low, high = _with_bands(low, high, [edge for edge in floats(bands) if math.isfinite(edge)])
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = _apart(low, high, unit)
    count = count or max(2, round((bottom - top) / 45))
    step = ticks.step_of(low, high, count)
    if step > 1e-12 * max(abs(low), abs(high)):
        lower, upper = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
        low, high = min(low, lower), max(high, upper)
    return Scale(low, high, top, bottom, _within(ticks.numeric(low, high, count), low, high), step)


def _with_bands(low: float, high: float, edges: list[float]) -> tuple[float, float]:
    if not edges:
        return low, high
    room = _ROOM * (high - low) or math.inf
    return min(low, max(min(edges), low - room)), max(high, min(max(edges), high + room))


def _apart(low: float, high: float, unit: str) -> tuple[float, float]:
    """Return ends that differ, also if all values are the same; shares stay between 0 and 1."""
    if high - low > 1e-12 * max(abs(low), abs(high)) and high - low > 1e-290:
        return low, high
    room = 0.1 * max(abs(low), abs(high))
    room = room if room > 1e-290 else 1.0 if unit != "%" else 0.01
    if low >= 0 and high <= 1 and unit == "%":
        return max(0.0, low - room), min(1.0, high + room)
    return (low - room if low else low), high + room


def _logarithmic(low: float, high: float, top: float, bottom: float) -> Scale:
    low, high = max(low, 1e-300), max(high, 1e-300)
    if high / low < 2.0:
        low, high = low / 1.5, high * 1.5
    below = ticks.logarithmic(low / 10, low * 1.001)
    above = ticks.logarithmic(high * 0.999, high * 10)
    low, high = max([low / 2, *below][-1], 1e-305), [*above, high * 2][0]
    marked = _within(ticks.logarithmic(low, high), low, high)
    return Scale(low, high, top, bottom, marked, marked[0] if marked else 0.0, log=True)


def _within(marked: Iterable[float], low: float, high: float) -> tuple[float, ...]:
    """Return ticks within the ends, from which rounding may have moved them."""
    return tuple(min(max(value, low), high) for value in marked)
