"""Reads for retraining: the labelled predictions that a decision rests on."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from watchkeeper.errors import NotFoundError
from watchkeeper.events import EventLog, Window
from watchkeeper.retraining import Policy

__all__ = ["new_labelled"]


def new_labelled(
    events: EventLog, model: str, policy: Policy, since: datetime | None, at: datetime
) -> int:
    """Return how many predictions of the training window got their label after a moment.

    Parameters
    ----------
    events : EventLog
    model : str
    policy : Policy
        Of which the length of the training window counts.
    since : datetime or None
        None counts all that have a label.
    at : datetime
        The end of the training window.

    Returns
    -------
    int
    """
    window = Window(at - timedelta(days=policy.window_days), at)
    try:
        rows = events.read(model, window, columns=["actual", "actual_timestamp"]).rows
    except NotFoundError:
        return 0
    labelled = rows["actual"].is_valid()
    if since is not None:
        moment = pa.scalar(since, pa.timestamp("us", "UTC"))
        later = pc.greater(rows["actual_timestamp"].cast(moment.type), moment)
        labelled = pc.and_(labelled, pc.fill_null(later, fill_value=False))
    return int(pc.sum(labelled).as_py() or 0)
