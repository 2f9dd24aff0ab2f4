"""Experiments in the control database: the only part of them that touches the store."""

from collections.abc import Mapping, Sequence

from watchkeeper.experiments.assignment import Allocation
from watchkeeper.experiments.experiment import Experiment, ExperimentState
from watchkeeper.store.database import ControlDatabase, experiments
from watchkeeper.store.documents import Documents

__all__ = ["ExperimentRepository"]


class ExperimentRepository(Documents[Experiment]):
    """The experiments that were ever created.

    Parameters
    ----------
    database : ControlDatabase
        The caller closes it.
    """

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database, experiments, "experiment", Experiment.from_dict)

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations of running experiments by model, the oldest first.

        Returns
        -------
        mapping of str to sequence of Allocation
        """
        allocations: dict[str, list[Allocation]] = {}
        for experiment in reversed(self.find(state=ExperimentState.RUNNING)):
            allocations.setdefault(experiment.model, []).append(experiment.allocation)
        return allocations
