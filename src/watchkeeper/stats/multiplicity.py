"""Correction for looking at many p-values at once."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from watchkeeper.errors import InvalidValueError

__all__ = ["Correction", "adjusted"]

Correction = Literal["fdr_bh", "fdr_by", "holm", "bonferroni", "none"]


def adjusted(
    p_values: Sequence[float | None], correction: Correction = "fdr_bh"
) -> list[float | None]:
    """Return p-values adjusted for their number; those that are None stay so and do not count.

    Parameters
    ----------
    p_values : sequence of float or None
    correction : {"fdr_bh", "fdr_by", "holm", "bonferroni", "none"}
        Of the share of false findings: Benjamini-Hochberg, Benjamini-Yekutieli (under any
        dependence). Of any false finding: Holm, Bonferroni. Or none.

    Returns
    -------
    list of float or None

    Raises
    ------
    InvalidValueError
        If a p-value is not between 0 and 1, or the correction is unknown.

    References
    ----------
    Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57(1), 289-300, as computed by
    `scipy.stats.false_discovery_control`. Holm (1979), Scand. J. Statist. 6(2), 65-70.
    """
    if correction not in get_args(Correction):
        raise InvalidValueError(
            "correction", correction, f"one of {', '.join(get_args(Correction))}"
        )
    measured = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((measured >= 0) & (measured <= 1)).all():
        raise InvalidValueError("p_values", measured.tolist(), "numbers between 0 and 1")
    if correction == "none" or not measured.size:
        values = measured
    elif correction == "bonferroni":
        values = np.minimum(measured * measured.size, 1.0)
    elif correction == "holm":
        order = np.argsort(measured)
        steps = measured[order] * np.arange(measured.size, 0, -1)
        values = np.empty_like(measured)
        values[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    else:
        from scipy.stats import false_discovery_control

        values = np.asarray(
            false_discovery_control(measured, method="bh" if correction == "fdr_bh" else "by")
        )
    remaining = iter(values.tolist())
    return [None if p is None else next(remaining) for p in p_values]
