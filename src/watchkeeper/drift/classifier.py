"""Whether a classifier can tell current rows from reference rows: drift of all columns together.

Tests of one column at a time do not see a correlation that changes. Here a classifier learns on one
half of the rows to tell which sample a row is from. On the other half its scores are compared: had
nothing drifted, a current row would be as likely to score above a reference row as below.

References
----------
Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, ICLR.
Kim, Ramdas, Singh and Wasserman (2021), Annals of Statistics 49(1), 411-434.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from watchkeeper.errors import InvalidValueError
from watchkeeper.profiles.columns import floats_of, frame_of
from watchkeeper.profiles.profile import Profile
from watchkeeper.results import Result

__all__ = ["ClassifierTest", "classifier_two_sample_test"]

Floats = npt.NDArray[np.float64]

_FEWEST = 50  # rows a sample: half of them is the least from which anything can be learned
_MOST_LABELS = 254  # of one column that the classifier takes beside the one for all rare ones
_RAREST = 20  # rows with a label in both samples: it passes over those with fewer than 10 in a half
_LARGEST = 1e300  # infinities count as this
_RANKED = 2_000  # held-out rows a sample by which the columns are ranked


@dataclass(frozen=True, slots=True)
class ClassifierTest(Result):
    """How well reference and current rows can be told apart.

    Attributes
    ----------
    drift_detected : bool
        Whether the p-value is below `threshold` and the effect at least `min_effect`.
    auc : float
        Chance that a current row scores above a reference row, of the rows held out; 0.5 when they
        cannot be told apart.
    p_value : float
        Of the Mann-Whitney test of the scores, one-sided.
    effect_size : float
        ``2 * auc - 1``, at least 0.
    ranking : dict of str to float
        Share of each column in what tells the rows apart, largest first: what the AUC loses when
        the column is permuted. All are 0 when no column helps. Without drift it is noise.
    reference_size, current_size : int
        Rows that were used, held-out ones included.
    left_out : dict of str to str
        Columns that were not compared, and why.
    threshold, min_effect : float
    """

    drift_detected: bool
    auc: float
    p_value: float
    effect_size: float
    ranking: dict[str, float]
    reference_size: int
    current_size: int
    left_out: dict[str, str]
    threshold: float
    min_effect: float


def classifier_two_sample_test(
    reference: object,
    current: object,
    *,
    threshold: float = 0.05,
    min_effect: float = 0.02,
    seed: int = 0,
    max_rows: int = 20_000,
) -> ClassifierTest:
    """Test whether a classifier tells current rows from reference rows.

    Parameters
    ----------
    reference, current : data frame or dict of sequences
        Anything Narwhals takes, at least 50 rows each. The columns that both have are compared.
    threshold : float
        Level of the test.
    min_effect : float
        Effect size below which a difference is not called drift.
    seed : int
        Of the rows drawn, of the halves, and of the classifier.
    max_rows : int
        How many rows of a sample are used at most, drawn at random; it bounds the cost.

    Returns
    -------
    ClassifierTest

    Raises
    ------
    InvalidValueError
        If a sample is a profile or has too few rows, no column can be compared, or an argument is
        out of range.

    Notes
    -----
    The p-value holds whatever was learned: scores of rows that were held out, by a classifier that
    never saw them, are exchangeable when nothing has drifted. Leave columns out that tell the
    samples apart by their making, such as identifiers and times of recording. Categories of
    fewer than 20 rows count as one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y, z = rng.normal(size=(3, 400))
    >>> test = classifier_two_sample_test({"x": x, "y": y}, {"x": z, "y": z})
    >>> test.drift_detected, test.auc > 0.9
    (True, True)
    """
    import sklearn  # noqa: F401 # loads the threads that are limited below
    from scipy.stats import mannwhitneyu
    from threadpoolctl import threadpool_limits

    if not 0.0 < threshold < 1.0:
        raise InvalidValueError("threshold", threshold, "a number strictly between 0 and 1")
    if not 0.0 <= min_effect < 1.0:
        raise InvalidValueError("min_effect", min_effect, "a number from 0 to below 1")
    if max_rows < _FEWEST:
        raise InvalidValueError("max_rows", max_rows, f"a whole number of at least {_FEWEST}")
    rng = np.random.default_rng(seed)
    before = _drawn(reference, "reference", max_rows, rng)
    now = _drawn(current, "current", max_rows, rng)
    columns, categorical, left_out = _encoded(before, now)
    if not columns:
        raise InvalidValueError(
            "current", str(now.columns[:20]), f"a column of the reference's {before.columns[:20]}"
        )
    rows = np.column_stack(list(columns.values()))
    is_current = np.repeat([False, True], [len(before), len(now)])
    learn = np.concatenate(  # every other row of each sample: both come in random order
        [np.arange(len(side)) % 2 == 0 for side in (before, now)]
    )
    rows[:, np.isnan(rows[learn]).all(axis=0)] = 0.0  # scikit-learn needs a value to learn from
    held, of_current = rows[~learn], is_current[~learn]
    with threadpool_limits(1, "openmp"):  # threads that wait for a busy core make it far slower
        classifier = _classifier(categorical, seed).fit(rows[learn], is_current[learn])
        scores = classifier.predict_proba(held)[:, 1]
        ranking = _ranking(classifier, list(columns), held, of_current, seed)
    if scores.min() == scores.max():
        auc, p_value = 0.5, 1.0
    else:
        above, below = scores[of_current], scores[~of_current]
        test = mannwhitneyu(above, below, alternative="greater", method="asymptotic")
        auc, p_value = float(test.statistic) / (len(above) * len(below)), float(test.pvalue)
    effect = max(0.0, 2.0 * auc - 1.0)
    return ClassifierTest(
        drift_detected=p_value < threshold and effect >= min_effect,
        auc=auc,
        p_value=p_value,
        effect_size=effect,
        ranking=ranking,
        reference_size=len(before),
        current_size=len(now),
        left_out=left_out,
        threshold=threshold,
        min_effect=min_effect,
    )


def _drawn(data: object, name: str, most: int, rng: np.random.Generator) -> nw.DataFrame[Any]:
    """Return at most so many rows of a sample, in random order."""
    if isinstance(data, Profile):
        raise InvalidValueError(name, "a profile", "the rows themselves: a profile keeps none")
    frame = frame_of(data, name)
    if len(frame) < _FEWEST:
        raise InvalidValueError(name, f"{len(frame)} rows", f"at least {_FEWEST}")
    drawn: nw.DataFrame[Any] = frame[rng.permutation(len(frame))[:most].tolist()]
    return drawn


def _encoded(
    before: nw.DataFrame[Any], now: nw.DataFrame[Any]
) -> tuple[dict[str, Floats], list[bool], dict[str, str]]:
    """Return the columns of both samples, one after the other, as a classifier takes them.

    Which columns hold codes of categories comes second, and which are left out, and why, third.
    """
    columns, categorical = {}, []
    left_out = {
        name: f"only the {side} data has it"
        for side, column, other in (("reference", before, now), ("current", now, before))
        for name in column.columns
        if name not in other.columns
    }
    for name in (column_name for column_name in before.columns if column_name in now.columns):
        kinds = {kind for frame in (before, now) if (kind := _kind(frame[name])) != "nothing"}
        if len(kinds) > 1 or "unknown" in kinds:
            left_out[name] = f"its type is {before[name].dtype}, and {now[name].dtype} now"
            continue
        codes = kinds == {"category"}
        encode = _codes if codes else _numbers
        columns[name] = encode([before[name], now[name]])
        categorical.append(codes)
    return columns, categorical, left_out


def _kind(series: nw.Series[Any]) -> str:
    dtype = series.dtype
    if series.null_count() == len(series):
        return "nothing"  # a column without values goes with any other
    if dtype.is_numeric() or dtype == nw.Boolean:
        return "number"
    if dtype.is_temporal():
        return "time"
    words = {nw.String, nw.Categorical, nw.Enum, nw.Object, nw.Unknown}
    return "category" if dtype in words else "unknown"


def _numbers(both: list[nw.Series[Any]]) -> Floats:
    parts = [
        np.full(len(column), np.nan) if _kind(column) == "nothing" else floats_of(column)
        for column in both
    ]
    values: Floats = np.clip(np.concatenate(parts), -_LARGEST, _LARGEST)
    return values


def _codes(both: list[nw.Series[Any]]) -> Floats:
    """Return words by their rank in how frequent they are in both samples, the rare ones as one.

    What is equally frequent is ranked by name: by place, the codes would tell the samples apart.
    """
    labels = [None if value is None else str(value) for part in both for value in part.to_list()]
    counts = Counter(label for label in labels if label is not None)
    frequent = [label for label, count in counts.items() if count >= _RAREST]
    ranked = sorted(frequent, key=lambda label: (-counts[label], label))[:_MOST_LABELS]
    code: dict[str | None, float] = {label: float(rank) for rank, label in enumerate(ranked)}
    code[None] = np.nan
    return np.array([code.get(label, float(_MOST_LABELS)) for label in labels])


def _classifier(categorical: list[bool], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=categorical, class_weight="balanced", random_state=seed
    )


def _ranking(
    classifier: Any, names: list[str], held: Floats, of_current: npt.NDArray[np.bool_], seed: int
) -> dict[str, float]:
    from sklearn.inspection import permutation_importance

    few = np.concatenate([np.flatnonzero(of_current == side)[:_RANKED] for side in (False, True)])
    importance = permutation_importance(
        classifier, held[few], of_current[few], scoring="roc_auc", n_repeats=3, random_state=seed
    )
    lost = np.maximum(0.0, importance.importances_mean)
    shares = lost / lost.sum() if lost.sum() else lost
    return {names[index]: float(shares[index]) for index in np.argsort(-shares, kind="stable")}
