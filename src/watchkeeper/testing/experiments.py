"""Experiments in memory: what a router is told of those that run, without a database."""

from collections.abc import Mapping, Sequence

from watchkeeper.experiments import Allocation

__all__ = ["InMemoryExperiments"]


class InMemoryExperiments:
    """A `watchkeeper.serving.routing_table.RunningExperiments`; `run` says what runs."""

    def __init__(self) -> None:
        self._state: tuple[int, Mapping[str, Sequence[Allocation]]] = (0, {})

    def generation(self) -> int:
        """Return how often `run` was called."""
        return self._state[0]

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations by model."""
        return self._state[1]

    def run(self, model: str, *allocations: Allocation) -> None:
        """Let these run of a model, and no others of it."""
        self._state = (self._state[0] + 1, {**self._state[1], model: allocations})
