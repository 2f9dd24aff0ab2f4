"""Experiments: which arm a unit is in, and what the arms' figures say.

>>> from watchkeeper.experiments import Allocation, Arm
>>> allocation = Allocation(
...     experiment="new-model", arms=(Arm("control", 5_000), Arm("candidate", 5_000, "2.0.0")))
>>> allocation.assign("user-1").arm
'candidate'
>>> allocation.assign_many([f"user-{n}" for n in range(10_000)]).counts()
{'control': 5040, 'candidate': 4960}
"""

from watchkeeper.experiments.assignment import (
    Allocation,
    Arm,
    Assignment,
    Assignments,
    Holdout,
    Namespace,
    Override,
    Reason,
    basis_points,
)
from watchkeeper.experiments.hashing import unit_hash
from watchkeeper.experiments.router import ABTestRouter, ModelVariant, RoutedPrediction
from watchkeeper.experiments.targeting import Equals, In, Not, Range, Targeting

__all__ = [
    "ABTestRouter",
    "Allocation",
    "Arm",
    "Assignment",
    "Assignments",
    "Equals",
    "Holdout",
    "In",
    "ModelVariant",
    "Namespace",
    "Not",
    "Override",
    "Range",
    "Reason",
    "RoutedPrediction",
    "Targeting",
    "basis_points",
    "unit_hash",
]
