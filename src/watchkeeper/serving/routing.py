"""Routing: which loaded version answers a request.

The table of versions in production, of the arms of running experiments and of canaries is built
from the registry, the experiments and the rollouts and swapped whole, so that a request sees either
the old table or the new one. A version is loaded and verified before it takes traffic; an
experiment or a canary that cannot be loaded takes none, and the version in production answers.

How a rollout shares the traffic is followed apart from that and waits for nothing that is loaded:
taking a canary back has to reach the traffic at once.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
    WatchkeeperError,
)
from watchkeeper.experiments import Allocation
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository
from watchkeeper.rollouts.shadow import Shadow
from watchkeeper.rollouts.traffic_split import CANARY, Split
from watchkeeper.serving.live_version import Call, LiveVersion
from watchkeeper.serving.loading import Loader, versions_of
from watchkeeper.serving.routing_table import (
    LoadedExperiment,
    Route,
    RoutingTable,
    RunningExperiments,
)

__all__ = ["FAILOVER", "PINNED", "PRODUCTION", "Router"]

log = logging.getLogger(__name__)

PRODUCTION, PINNED, FAILOVER = "production", "pinned", "failover"
_MISREAD = (KeyError, TypeError, ValueError)  # what is stored is not what it has to be
_MOST_PINNED = 8  # versions outside production that stay loaded


class Router:
    """Loaded versions by model.

    Parameters
    ----------
    registry : ModelRegistry
    make_live : callable
        A loaded version to one that takes calls; a second argument says as which model it records.
    experiments : RunningExperiments, optional
    rollouts : RolloutRepository, optional
    shadows : ShadowRepository, optional
    clock : Clock, optional
    timeout : float
        Seconds after which the process of a shadow that has not answered is killed.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        make_live: Callable[..., LiveVersion],
        experiments: RunningExperiments | None = None,
        rollouts: RolloutRepository | None = None,
        shadows: ShadowRepository | None = None,
        clock: Clock = system_clock,
        timeout: float = 30.0,
    ) -> None:
        self._registry = registry
        self._loader = Loader(registry, make_live, timeout)
        self._experiments, self._rollouts, self._clock = experiments, rollouts, clock
        self._shadows = shadows
        self._table = RoutingTable(*(MappingProxyType({}) for _ in range(4)))
        self._splits: Mapping[str, Split] = MappingProxyType({})
        self._over: frozenset[str] = frozenset()  # models whose split ends at the next refresh
        self._asked = self._answered = 0  # how often the rollouts were asked, and the last answer
        self._pinned: OrderedDict[str, LiveVersion] = OrderedDict()
        self._faults: dict[str, str] = {}
        self._experiment_faults: dict[str, str] = {}
        self._rollout_faults: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self._generation = (-1, -1)
        self._loading = asyncio.Lock()

    @property
    def production(self) -> Mapping[str, LiveVersion]:
        """The versions in production, by model."""
        return self._table.production

    @property
    def faults(self) -> list[str]:
        """What keeps models from answering, as sentences."""
        return [*self._faults.values(), *self._hanging]

    @property
    def _hanging(self) -> list[str]:
        answering = [*self.production.values(), *self._pinned.values()]
        return [live.fault for live in answering if live.fault]

    @property
    def unloadable(self) -> Mapping[str, str]:
        """Why the version in production of a model cannot be loaded, by model."""
        return MappingProxyType(self._faults)

    @property
    def outages(self) -> list[str]:
        """Why this process can take no traffic, as sentences.

        A version that cannot be loaded is the fault of its model alone, unless none answers.
        """
        return self._hanging if self.production else self.faults

    @property
    def experiment_faults(self) -> list[str]:
        """What keeps experiments from taking traffic, as sentences; production answers instead."""
        running = [experiment for of in self._table.experiments.values() for experiment in of]
        return [
            *self._experiment_faults.values(),
            *(experiment.fault for experiment in running if experiment.fault),
        ]

    def rollout_fault(self, model: str) -> str:
        """Return what keeps the canary of a model from answering; empty when nothing does.

        Parameters
        ----------
        model : str

        Returns
        -------
        str
        """
        split = self._splits.get(model)
        if split is None:
            return ""
        live = self._table.rolling.get(f"{model}:{split.canary}")
        return self._rollout_faults.get(model, "") if live is None else live.fault

    def splits(self) -> dict[tuple[str, str, str], float]:
        """Return what percent of its model's units each version of a rollout answers.

        Returns
        -------
        dict of (str, str, str) to float
            Percentages, by model, rollout and side: ``canary`` or ``production``.
        """
        percentages = {}
        for model, split in self._splits.items():
            share = split.percent if split.holds(self._clock()) else 0.0
            rollout = split.label.partition(":")[2].rpartition("/")[0]
            percentages[model, rollout, CANARY] = share
            percentages[model, rollout, PRODUCTION] = 100.0 - share
        return percentages

    def shares(self) -> dict[tuple[str, str, str], float]:
        """Return what percent of its model's units each arm of an experiment is given.

        Returns
        -------
        dict of (str, str, str) to float
            Percentages, by model, experiment and arm.
        """
        return {
            (model, experiment.allocation.experiment, arm): share
            for model, experiments in self._table.experiments.items()
            for experiment in experiments
            for arm, share in experiment.allocation.percentages().items()
        }

    def live(self) -> list[LiveVersion]:
        """Return every loaded version.

        Returns
        -------
        list of LiveVersion
        """
        shadows = [live for _, live in self._table.shadows.values()]
        return [*self._table.live(), *shadows, *self._pinned.values()]

    def in_production(self, model: str) -> LiveVersion:
        """Return the version of `model` that is in production.

        Parameters
        ----------
        model : str

        Returns
        -------
        LiveVersion

        Raises
        ------
        NotFoundError
            If it has none.
        UnavailableError
            If it has one that cannot be loaded.
        """
        live = self.production.get(model)
        if live is not None:
            return live
        if model in self._faults:
            raise UnavailableError(self._faults[model], retry_after=5.0)
        models = ", ".join(sorted(self.production)) or "none"
        raise NotFoundError("model in production", model, f"In production are: {models}.")

    def only(self, default: str | None = None) -> LiveVersion:
        """Return the version in production of the `default` model, or of the only one there is.

        Parameters
        ----------
        default : str, optional
            Name of a model.

        Returns
        -------
        LiveVersion

        Raises
        ------
        NotFoundError
            If it, or all there is, has no version in production.
        ConflictError
            If several models are in production, and none of them is the default.
        UnavailableError
            As `in_production`.
        """
        if default is not None:
            return self.in_production(default)
        if len(self.production) == 1:
            return next(iter(self.production.values()))
        if not self.production:
            raise NotFoundError("model in production", "", "Promote a version first.")
        raise ConflictError(
            f"several models are in production: {', '.join(sorted(self.production))}",
            "Name one, POST /v1/models/NAME/invocations, or set server.default_model.",
        )

    def route(self, live: LiveVersion, call: Call) -> Route:
        """Return who answers a call of a model without a version named: `live`, or an arm.

        Parameters
        ----------
        live : LiveVersion
            The version in production.
        call : Call

        Returns
        -------
        Route

        Raises
        ------
        InvalidValueError
            If the call asks for an arm and may not have it.
        """
        experiments = self._table.experiments.get(live.runtime.model_name, ())
        if call.forced_variant is not None:
            return _forced(experiments, call)
        attributes: Mapping[str, Any] | None = None
        for experiment in experiments:
            allocation = experiment.allocation
            if attributes is None and allocation.targeting.rules:
                attributes = call.attributes()
            arm = allocation.assign(call.unit_id, attributes).arm
            if arm is not None and not experiment.fault:
                return Route(experiment.arms[arm], arm, allocation.label)
        split = self._splits.get(live.runtime.model_name)
        return Route(live, PRODUCTION, None) if split is None else self._shared(split, live, call)

    def _shared(self, split: Split, live: LiveVersion, call: Call) -> Route:
        """Return which of the two versions of a rollout answers a call."""
        rolling = self._table.rolling
        canary = rolling.get(f"{split.model}:{split.canary}")
        stable = rolling.get(f"{split.model}:{split.stable}", live)
        if not split.percent or canary is None or canary.fault or not split.holds(self._clock()):
            return Route(stable, PRODUCTION, None)  # there is nothing to compare with
        if not split.takes(call.unit_id):
            return Route(stable, PRODUCTION, split.label)
        return Route(canary, CANARY, split.label, stable if split.failover else None)

    def shadow(self, call: Call, model: str) -> LiveVersion | None:
        """Return the version that gets a copy of a call; None without one.

        Parameters
        ----------
        call : Call
        model : str

        Returns
        -------
        LiveVersion or None
        """
        entry = self._table.shadows.get(model)
        if entry is None or entry[1].fault or not entry[0].takes(call.request_id):
            return None
        return entry[1] if entry[1].runtime.ready else None

    async def version(self, model: str, version: str) -> LiveVersion:
        """Return one version of a model, loading it when nothing else needs it.

        Parameters
        ----------
        model, version : str

        Returns
        -------
        LiveVersion

        Raises
        ------
        NotFoundError
            If there is no such version, or it is archived.
        UnavailableError
            If it cannot be loaded.
        """
        model_id = f"{model}:{version}"
        for live in self._table.live():
            if live.runtime.model_id == model_id:
                return live
        async with self._loading:
            if model_id not in self._pinned:
                self._pinned[model_id] = await self._loader.version(model, version)
                if len(self._pinned) > _MOST_PINNED:
                    self._pinned.popitem(last=False)[1].close()
            self._pinned.move_to_end(model_id)
            return self._pinned[model_id]

    async def reweigh(self) -> bool:
        """Follow how rollouts share the traffic, waiting for nothing; return whether that changed.

        A version that is not loaded takes its share after the next `refresh`. What is over ends
        there too, where the version that was put in production meanwhile takes its place.

        Returns
        -------
        bool
        """
        if self._rollouts is None:
            return False
        self._asked += 1
        question = self._asked
        unreadable: dict[str, str] = {}
        try:
            current = await asyncio.to_thread(self._rollouts.splits, self._clock())
        except _MISREAD as error:  # production answers, and goes on being followed
            current = {}
            unreadable[""] = f"no rollout takes traffic, one of them cannot be read: {error!r}"
        if question < self._answered:
            return False  # a later question was answered before this one
        self._answered = question
        self._unreadable = unreadable
        over = frozenset(self._splits.keys() - current.keys())
        self._over = over
        splits = {**{model: self._splits[model] for model in over}, **current}
        changed = splits != self._splits
        self._splits = MappingProxyType(splits)
        return changed

    async def refresh(self) -> bool:
        """Follow registry, experiments and rollouts; return whether anything changed.

        Returns
        -------
        bool
        """
        await self.reweigh()
        generation = await asyncio.to_thread(self._generations)
        fault_maps = (self._faults, self._experiment_faults, self._rollout_faults)
        known_faults = {fault for faults in fault_maps for fault in faults.values()}
        rolled = {model_id for split in self._splits.values() for model_id in versions_of(split)}
        settled = not self._over and rolled == self._table.rolling.keys()
        if generation == self._generation and settled and not known_faults:
            return False
        async with self._loading:
            wanted = await asyncio.to_thread(self._registry.production)
            running, unreadable = await asyncio.to_thread(self._running)
            before = self._table
            loaded = {live.runtime.model_id: live for live in before.live()}
            production, faults = await self._loader.production(wanted, loaded, self.production)
            experiments, unplaced = await self._loader.arms(running, production, loaded)
            over = self._over
            going_on = {m: split for m, split in self._splits.items() if m not in over}
            rolling, rollout_faults = await self._loader.rolling(going_on, loaded)
            shadows, shadow_faults = await self._shadowing(before.shadows)
            rollout_faults |= self._unreadable
            experiment_faults = {**unreadable, **unplaced, **shadow_faults}
            for fault_map in (faults, experiment_faults, rollout_faults):
                for fault in fault_map.values():
                    if fault not in known_faults:
                        log.error("%s", fault)
            self._table = RoutingTable(
                MappingProxyType(production),
                MappingProxyType(experiments),
                MappingProxyType(rolling),
                MappingProxyType(shadows),
            )
            over &= self._over  # another rollout may have begun meanwhile
            self._splits = MappingProxyType(
                {m: split for m, split in self._splits.items() if m not in over}
            )
            self._over -= over
            self._faults, self._experiment_faults = faults, experiment_faults
            self._rollout_faults = rollout_faults
            self._generation = generation
            for live in before.production.values():
                if live not in production.values():
                    live.metrics.set_accuracy(None)  # else its last value would alert for ever
            needed = self._table.live()
            for live in loaded.values():
                if live not in needed:
                    live.close()
            for model, (_, live) in before.shadows.items():
                if model not in shadows or shadows[model][1] is not live:
                    live.close()
        return True

    def _generations(self) -> tuple[int, int]:
        experiments = self._experiments
        return self._registry.generation(), 0 if experiments is None else experiments.generation()

    def _running(self) -> tuple[Mapping[str, Sequence[Allocation]], dict[str, str]]:
        """Return what runs; what is stored wrongly must not keep production from being followed."""
        if self._experiments is None:
            return {}, {}
        try:
            return self._experiments.running(), {}
        except WatchkeeperError as error:
            return {}, {"": f"no experiment takes traffic: {error}".rstrip(".")}

    async def _shadowing(
        self, before: Mapping[str, tuple[Shadow, LiveVersion]]
    ) -> tuple[dict[str, tuple[Shadow, LiveVersion]], dict[str, str]]:
        if self._shadows is None:
            return {}, {}
        try:
            running = await asyncio.to_thread(self._shadows.running)
        except _MISREAD as error:
            return {}, {"shadows": f"no shadow is asked, one of them cannot be read: {error!r}"}
        return await self._loader.shadows(running, before)

    def close(self) -> None:
        """Let every version end after what waits."""
        for live in self.live():
            live.close()


def _forced(experiments: Sequence[LoadedExperiment], call: Call) -> Route:
    """Return the arm that a call asks for; only units that an experiment lists may ask."""
    for experiment in experiments:
        live = experiment.arms.get(str(call.forced_variant))
        if live is not None and experiment.allocation.lists(call.unit_id) and not experiment.fault:
            return Route(live, str(call.forced_variant), experiment.allocation.label)
    raise InvalidValueError(
        "force_variant",
        call.forced_variant,
        "a variant of a running experiment whose overrides list the unit",
        f"Give unit {call.unit_id} an override in the experiment.",
    )
