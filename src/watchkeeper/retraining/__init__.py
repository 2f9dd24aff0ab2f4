"""Retraining: whether a model is trained again, on what, and whether the candidate is better.

`AutoRetrainingPipeline` is the whole of it for who has a registry and a monitor at hand. Below it
are the parts: a `Policy` says what asks for a training; `decide` is a function of stored facts and
of the clock; a training runs in a process of its own; `judge` compares candidate and champion on
the same later rows by paired tests.

>>> from datetime import UTC, datetime
>>> from watchkeeper.retraining import Facts, Policy, decide, next_version
>>> noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
>>> drift = {"number": 3, "bad": True, "summary": "drift in 2 of 9 features"}
>>> found = decide(Policy(), Facts(champion="late:1.0.0", drift=drift, new_labelled=500), noon)
>>> found.train, found.reason, next_version("1.0.0")
(True, 'drift in 2 of 9 features', '1.0.1')
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.policies.retraining import Policy
    from watchkeeper.retraining.data import TrainingData, TrainingDataError
    from watchkeeper.retraining.decision import Facts, RetrainingDecision, Trigger, decide
    from watchkeeper.retraining.gate import Answered, Cost, GateCheck, GateReport, judge
    from watchkeeper.retraining.pipeline import AutoRetrainingPipeline
    from watchkeeper.retraining.run import Run, RunState
    from watchkeeper.retraining.training import TrainingFailedError
    from watchkeeper.retraining.versions import next_version

__all__ = [
    "Answered",
    "AutoRetrainingPipeline",
    "Cost",
    "Facts",
    "GateCheck",
    "GateReport",
    "Policy",
    "RetrainingDecision",
    "Run",
    "RunState",
    "TrainingData",
    "TrainingDataError",
    "TrainingFailedError",
    "Trigger",
    "decide",
    "judge",
    "next_version",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answered": ".gate",
        "AutoRetrainingPipeline": ".pipeline",
        "GateCheck": ".gate",
        "Cost": ".gate",
        "RetrainingDecision": ".decision",
        "Facts": ".decision",
        "GateReport": ".gate",
        "Policy": "watchkeeper.policies.retraining",
        "Run": ".run",
        "RunState": ".run",
        "TrainingData": ".data",
        "TrainingDataError": ".data",
        "TrainingFailedError": ".training",
        "Trigger": ".decision",
        "decide": ".decision",
        "judge": ".gate",
        "next_version": ".versions",
    },
)
