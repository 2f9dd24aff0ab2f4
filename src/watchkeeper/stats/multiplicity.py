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
    known = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise InvalidValueError("p_values", known.tolist(), "numbers between 0 and 1")
    if correction == "none" or not known.size:
        values = known
    elif correction == "bonferroni":
        values = np.minimum(known * known.size, 1.0)
    elif correction == "holm":
        order = np.argsort(known)
        steps = known[order] * np.arange(known.size, 0, -1)
        values = np.empty_like(known)
        values[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    else:
        from scipy.stats import false_discovery_control

        values = np.asarray(
            false_discovery_control(known, method="bh" if correction == "fdr_bh" else "by")
        )
    left = iter(values.tolist())
    return [None if p is None else next(left) for p in p_values]
