"""The routing table: which loaded versions take traffic at one time, and what decides that.

`watchkeeper.serving.routing` builds a table and swaps it whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.experiments import Allocation
from watchkeeper.rollouts.shadow import Shadow
from watchkeeper.serving.live_version import LiveVersion

__all__ = [
    "LoadedExperiment",
    "Route",
    "RoutingTable",
    "RunningExperiments",
]


class RunningExperiments(Protocol):
    """Which experiments run; the router reads them again when the generation has changed."""

    def generation(self) -> int:
        """Return a number that grows with every change.

        Returns
        -------
        int
        """
        ...

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations of running experiments by model, in the order of their turn.

        The first that has an arm for a unit answers it; namespaces keep experiments apart.

        Returns
        -------
        mapping of str to sequence of Allocation
        """
        ...


@dataclass(frozen=True, slots=True)
class LoadedExperiment:
    """A running experiment and the loaded version of each arm."""

    allocation: Allocation
    arms: Mapping[str, LiveVersion]

    @property
    def fault(self) -> str:
        """Why it takes no traffic; empty when it does."""
        for live in self.arms.values():
            if live.fault:
                return f"experiment {self.allocation.label} takes no traffic: {live.fault}"
        return ""


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """The versions that respond at one time."""

    production: Mapping[str, LiveVersion]
    experiments: Mapping[str, tuple[LoadedExperiment, ...]]
    rolling: Mapping[str, LiveVersion]  # by model id, both versions of each rollout
    shadows: Mapping[str, tuple[Shadow, LiveVersion]]  # by model; loaded for itself alone

    def live(self) -> list[LiveVersion]:
        """Return each loaded version once.

        Returns
        -------
        list of LiveVersion
        """
        arms = [
            live
            for experiments in self.experiments.values()
            for experiment in experiments
            for live in experiment.arms.values()
        ]
        several = [*self.production.values(), *arms, *self.rolling.values()]
        return list({id(live): live for live in several}.values())


@dataclass(frozen=True, slots=True)
class Route:
    """The version that answers a call.

    Attributes
    ----------
    live : LiveVersion
    variant : str
    experiment : str or None
        The label that the call is recorded with; None where no experiment or rollout has its unit.
    failover : LiveVersion or None
        The version that answers if `live` cannot.
    """

    live: LiveVersion
    variant: str
    experiment: str | None
    failover: LiveVersion | None = None
