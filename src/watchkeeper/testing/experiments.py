"""Experiments in memory: what a router is told of those that run, without a database."""

from collections.abc import Mapping, Sequence

from watchkeeper.experiments import Allocation

__all__ = ["InMemoryExperiments"]


class InMemoryExperiments:
    """A `watchkeeper.serving.routing_table.RunningExperiments`; `run` says what runs."""

    def __init__(self) -> None:
        self._state: tuple[int, Mapping[str, Sequence[Allocation]]] = (0, {})

    def generation(self) -> int:
        """Return how often `run` was called.

        Returns
        -------
        int
        """
        return self._state[0]

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations by model.

        Returns
        -------
        mapping of str to sequence of Allocation
        """
        return self._state[1]

    def run(self, model: str, *allocations: Allocation) -> None:
        """Let these run of a model, and no others of it.

        Parameters
        ----------
        model : str
        *allocations : Allocation
        """
        self._state = (self._state[0] + 1, {**self._state[1], model: allocations})
