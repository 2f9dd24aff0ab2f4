"""Numbers for reading: short on an axis, exact enough beside a point.

The unit ``"%"`` is special: values are shares, and 0.912 is shown as 91.2 %.

>>> on_axis(1200.0, 200.0, "predictions"), on_axis(0.005, 0.005, "%"), on_axis(20.0, 10.0, "ms")
('1.2k', '0.5 %', '20 ms')
>>> exact(0.91234, "%"), exact(1234567, "predictions"), exact(float("nan"), "ms")
('91.23 %', '1,234,567 predictions', 'no data')
"""

import math

__all__ = ["NO_DATA", "as_tabled", "column", "exact", "has_symbol", "on_axis"]

NO_DATA = "no data"

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SPELLED = 1e15  # beyond that, and below its inverse, powers of ten read better


def has_symbol(unit: str) -> bool:
    """Return whether the unit is short enough to stand behind every number of an axis.

    Parameters
    ----------
    unit : str

    Returns
    -------
    bool
    """
    return 0 < len(unit) <= 3


def on_axis(value: float, step: float, unit: str) -> str:
    """Return a tick's label: as many decimals as `step` between the ticks needs.

    A unit that is a word is not repeated at each tick; the chart says it once.

    Parameters
    ----------
    value : float
    step : float
        Between two ticks.
    unit : str

    Returns
    -------
    str
    """
    value, step, unit = _scaled(value, step, unit)
    suffix = f" {unit}" if has_symbol(unit) else ""
    return _signed(_short(value, step)) + suffix


def exact(value: float, unit: str) -> str:
    """Return a value with its unit, to four figures or to the whole number.

    Parameters
    ----------
    value : float
    unit : str
        ``"%"`` means that the value is a share.

    Returns
    -------
    str
    """
    if math.isnan(value):
        return NO_DATA
    if math.isinf(value):
        return "∞" if value > 0 else "\u2212∞"
    value, _, unit = _scaled(value, value, unit)
    size = abs(value)
    if size >= _SPELLED or 0 < size < 1e-4:
        shown = f"{value:.3g}"
    elif size >= 1000 or value == int(value):
        shown = f"{value:,.0f}"
    else:
        shown = f"{value:.4g}"
    return _signed(shown) + (f" {unit}" if unit else "")


def as_tabled(value: float, unit: str) -> float | None:
    """Return a value as a table holds it: per cent for ``"%"``, None where there is no data.

    Parameters
    ----------
    value : float
    unit : str

    Returns
    -------
    float or None
    """
    if not math.isfinite(value):
        return None
    if unit == "%":
        value = min(max(value, -1e300), 1e300)
        value = float(f"{100.0 * value:.10g}")  # 28.9, not 28.899999999999995
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def column(label: str, unit: str) -> str:
    """Return the heading of a column of such values.

    Parameters
    ----------
    label, unit : str

    Returns
    -------
    str
    """
    return f"{label} ({unit})" if unit else label


def _scaled(value: float, step: float, unit: str) -> tuple[float, float, str]:
    if unit == "%":
        value, step = (min(max(part, -1e300), 1e300) for part in (value, step))
        return 100.0 * value, 100.0 * step, unit
    if unit == "ms" and abs(value) >= 1000:
        return value / 1000.0, step / 1000.0, "s"
    return value, step, unit


def _short(value: float, step: float) -> str:
    size = abs(value)
    if size < step * 1e-9 or value == 0:
        return "0"
    if size >= _SPELLED or size < 1 / _SPELLED:
        return f"{value:.2g}".replace("e+", "e")
    for scale, letter in _LARGE:
        if size >= scale:
            return _decimals(value / scale, step / scale) + letter
    return f"{value:.1e}" if size < 1e-5 else _decimals(value, step)


def _decimals(value: float, step: float) -> str:
    places = 0 if step <= 0 else max(0, min(6, math.ceil(-math.log10(step) - 1e-9)))
    if abs(round(step, places) - step) > step * 0.01:
        places += 1  # steps of 2.5
    shown = f"{value:.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _signed(shown: str) -> str:
    return shown.replace("-", "\u2212") if shown.startswith("-") else shown
