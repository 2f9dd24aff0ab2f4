"""Experiments: which arm a unit is in, and which arm is better, however often one looks.

>>> from watchkeeper.experiments import Allocation, Arm
>>> allocation = Allocation(
...     experiment="new-model", arms=(Arm("control", 5_000), Arm("candidate", 5_000, "2.0.0")))
>>> allocation.assign("user-1").arm
'candidate'
>>> allocation.assign_many([f"user-{n}" for n in range(10_000)]).counts()
{'control': 5040, 'candidate': 4960}

An `Experiment` says what is compared, by which metric, and when a verdict may be given; what was
seen of its arms comes as count cells (`observe`), and `analyse` turns them into a report.
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.experiments.analyzer import (
        ABTestAnalyzer,
        AdjustedProportionTest,
        ProportionTest,
    )
    from watchkeeper.experiments.arms import Arm, Holdout, Namespace, Override, basis_points
    from watchkeeper.experiments.assignment import Allocation, Assignment, Assignments, Reason
    from watchkeeper.experiments.cells import Cell, Exposed, Observations, Sums, observe
    from watchkeeper.experiments.decision import ExperimentDecision, Verdict
    from watchkeeper.experiments.design import Mode, Phase
    from watchkeeper.experiments.experiment import Experiment, ExperimentState
    from watchkeeper.experiments.hashing import unit_hash
    from watchkeeper.experiments.metrics import METRICS, Guardrail, Metric
    from watchkeeper.experiments.ratios import RatioTest, ratio_sums, ratio_test
    from watchkeeper.experiments.report import ExperimentReport, analyse
    from watchkeeper.experiments.router import ABTestRouter, ModelVariant, RoutedPrediction
    from watchkeeper.experiments.targeting import Equals, In, Not, Range, Targeting

__all__ = [
    "METRICS",
    "ABTestAnalyzer",
    "ABTestRouter",
    "AdjustedProportionTest",
    "Allocation",
    "Arm",
    "Assignment",
    "Assignments",
    "Cell",
    "Equals",
    "Experiment",
    "ExperimentDecision",
    "ExperimentReport",
    "ExperimentState",
    "Exposed",
    "Guardrail",
    "Holdout",
    "In",
    "Metric",
    "Mode",
    "ModelVariant",
    "Namespace",
    "Not",
    "Observations",
    "Override",
    "Phase",
    "ProportionTest",
    "Range",
    "RatioTest",
    "Reason",
    "RoutedPrediction",
    "Sums",
    "Targeting",
    "Verdict",
    "analyse",
    "basis_points",
    "observe",
    "ratio_sums",
    "ratio_test",
    "unit_hash",
]

__getattr__ = on_first_use(
    __name__,
    {
        "ABTestAnalyzer": ".analyzer",
        "ABTestRouter": ".router",
        "AdjustedProportionTest": ".analyzer",
        "Allocation": ".assignment",
        "Arm": ".arms",
        "Assignment": ".assignment",
        "Assignments": ".assignment",
        "Cell": ".cells",
        "ExperimentDecision": ".decision",
        "Equals": ".targeting",
        "Experiment": ".experiment",
        "ExperimentReport": ".report",
        "Exposed": ".cells",
        "Guardrail": ".metrics",
        "Holdout": ".arms",
        "In": ".targeting",
        "METRICS": ".metrics",
        "Metric": ".metrics",
        "Mode": ".design",
        "ModelVariant": ".router",
        "Namespace": ".arms",
        "Not": ".targeting",
        "Observations": ".cells",
        "Override": ".arms",
        "Phase": ".design",
        "ProportionTest": ".analyzer",
        "Range": ".targeting",
        "RatioTest": ".ratios",
        "Reason": ".assignment",
        "RoutedPrediction": ".router",
        "ExperimentState": ".experiment",
        "Sums": ".cells",
        "Targeting": ".targeting",
        "Verdict": ".decision",
        "analyse": ".report",
        "basis_points": ".arms",
        "observe": ".cells",
        "ratio_sums": ".ratios",
        "ratio_test": ".ratios",
        "unit_hash": ".hashing",
    },
)
