"""Events that are right as they are, so that a test states only what matters to it."""

from datetime import UTC, datetime
from typing import Any

from watchkeeper.events import Outcome, Prediction

__all__ = ["a_prediction", "an_outcome"]

_NOON = datetime(2013, 1, 31, 12, tzinfo=UTC)


def a_prediction(prediction_id: str = "a", **changes: Any) -> Prediction:
    """Return a prediction of the model ``flights``, with `changes` to its fields.

    Parameters
    ----------
    prediction_id : str
    **changes : object
        Values of other fields.

    Returns
    -------
    Prediction
    """
    fields: dict[str, Any] = {
        "model": "flights",
        "model_version": "1.0.0",
        "timestamp": _NOON,
        "arrived_at": _NOON,
        "features": {"distance": 733.0, "carrier": "UA"},
        "prediction": 1,
        "score": 0.75,
    }
    return Prediction(prediction_id=prediction_id, **{**fields, **changes})


def an_outcome(prediction_id: str = "a", **changes: Any) -> Outcome:
    """Return an outcome of the model ``flights``, with `changes` to its fields.

    Parameters
    ----------
    prediction_id : str
    **changes : object
        Values of other fields.

    Returns
    -------
    Outcome
    """
    fields: dict[str, Any] = {
        "model": "flights",
        "timestamp": _NOON,
        "arrived_at": _NOON,
        "actual": 1,
    }
    return Outcome(prediction_id=prediction_id, **{**fields, **changes})
