"""Routing: which loaded version answers a request.

The table of versions in production and of the arms of running experiments is built from the
registry and the experiments and swapped whole, so that a request sees either the old table or the
new one. A version is loaded and verified before it takes traffic; an experiment with an arm that
cannot be loaded takes none, and the version in production answers.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from watchkeeper.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
    WatchkeeperError,
)
from watchkeeper.experiments import Allocation
from watchkeeper.registry import ModelRegistry, Runtime, Status
from watchkeeper.server.predicting import Call, LiveVersion

__all__ = ["PINNED", "PRODUCTION", "Router", "RunningExperiments"]

log = logging.getLogger(__name__)

PRODUCTION, PINNED = "production", "pinned"
_UNLOADABLE = (WatchkeeperError, OSError, ImportError)
_MOST_PINNED = 8  # versions outside production that stay loaded


class RunningExperiments(Protocol):
    """Which experiments run; the router asks again when the generation has changed."""

    def generation(self) -> int:
        """Return a number that grows with every change."""
        ...

    def running(self) -> Mapping[str, Sequence[Allocation]]:
        """Return the allocations of running experiments by model, in the order in which they ask.

        The first that has an arm for a unit answers it; namespaces keep experiments apart.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Experiment:
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
class _Table:
    """What answers, at one time."""

    production: Mapping[str, LiveVersion]
    experiments: Mapping[str, tuple[_Experiment, ...]]

    def live(self) -> list[LiveVersion]:
        """Return each loaded version once."""
        arms = [
            live
            for experiments in self.experiments.values()
            for experiment in experiments
            for live in experiment.arms.values()
        ]
        return list({id(live): live for live in [*self.production.values(), *arms]}.values())


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a call: `experiment` is None where none has an arm for its unit."""

    live: LiveVersion
    variant: str
    experiment: str | None


class Router:
    """Loaded versions by model.

    Parameters
    ----------
    registry : ModelRegistry
    make_live : callable
        A loaded version to one that takes calls.
    experiments : RunningExperiments, optional
    """

    def __init__(
        self,
        registry: ModelRegistry,
        make_live: Callable[[Runtime], LiveVersion],
        experiments: RunningExperiments | None = None,
    ) -> None:
        self._registry, self._make_live = registry, make_live
        self._experiments = experiments
        self._table = _Table(MappingProxyType({}), MappingProxyType({}))
        self._pinned: OrderedDict[str, LiveVersion] = OrderedDict()
        self._faults: dict[str, str] = {}
        self._experiment_faults: dict[str, str] = {}
        self._generation = (-1, -1)
        self._loading = asyncio.Lock()

    @property
    def production(self) -> Mapping[str, LiveVersion]:
        """The versions in production, by model."""
        return self._table.production

    @property
    def faults(self) -> list[str]:
        """What keeps models from answering, as sentences."""
        answering = [*self.production.values(), *self._pinned.values()]
        return [*self._faults.values(), *(live.fault for live in answering if live.fault)]

    @property
    def experiment_faults(self) -> list[str]:
        """What keeps experiments from taking traffic, as sentences; production answers instead."""
        running = [each for of in self._table.experiments.values() for each in of]
        return [*self._experiment_faults.values(), *(each.fault for each in running if each.fault)]

    def shares(self) -> dict[tuple[str, str, str], float]:
        """Return what percent of its model's units each arm of an experiment is given."""
        return {
            (model, each.allocation.experiment, arm): share
            for model, experiments in self._table.experiments.items()
            for each in experiments
            for arm, share in each.allocation.percentages().items()
        }

    def live(self) -> list[LiveVersion]:
        """Return every loaded version."""
        return [*self._table.live(), *self._pinned.values()]

    def in_production(self, model: str) -> LiveVersion:
        """Return the version of `model` that is in production.

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
        known = ", ".join(sorted(self.production)) or "none"
        raise NotFoundError("model in production", model, f"In production are: {known}.")

    def only(self, default: str | None = None) -> LiveVersion:
        """Return the version in production of the `default` model, or of the only one there is.

        Raises
        ------
        NotFoundError, ConflictError
            If there is none, or more than one.
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

        Raises
        ------
        InvalidValueError
            If the call asks for an arm and may not have it.
        """
        experiments = self._table.experiments.get(live.runtime.model_name, ())
        if call.forced_variant is not None:
            return _forced(experiments, call)
        known: Mapping[str, Any] | None = None
        for experiment in experiments:
            allocation = experiment.allocation
            if known is None and allocation.targeting.rules:
                known = call.attributes()
            arm = allocation.assign(call.unit_id, known).arm
            if arm is not None and not experiment.fault:
                return Route(experiment.arms[arm], arm, allocation.label)
        return Route(live, PRODUCTION, None)

    async def version(self, model: str, version: str) -> LiveVersion:
        """Return one version of a model, loading it when nothing else needs it.

        Raises
        ------
        NotFoundError
            If there is no such version, or it is archived.
        """
        model_id = f"{model}:{version}"
        for live in self._table.live():
            if live.runtime.model_id == model_id:
                return live
        async with self._loading:
            if model_id not in self._pinned:
                runtime = await asyncio.to_thread(self._open, model, version)
                self._pinned[model_id] = self._make_live(runtime)
                if len(self._pinned) > _MOST_PINNED:
                    self._pinned.popitem(last=False)[1].close()
            self._pinned.move_to_end(model_id)
            return self._pinned[model_id]

    async def refresh(self) -> bool:
        """Follow the registry and the experiments; return whether anything changed."""
        generation = await asyncio.to_thread(self._generations)
        known_faults = {**self._faults, **self._experiment_faults}
        if generation == self._generation and not known_faults:
            return False
        async with self._loading:
            wanted = await asyncio.to_thread(self._registry.production)
            running, unreadable = await asyncio.to_thread(self._running)
            before = self._table
            loaded = {live.runtime.model_id: live for live in before.live()}
            production, faults = await self._production(wanted, loaded)
            experiments, unplaced = await self._arms(running, production, loaded)
            experiment_faults = {**unreadable, **unplaced}
            for name, fault in {**faults, **experiment_faults}.items():
                if known_faults.get(name) != fault:
                    log.error("%s", fault)
            self._table = _Table(MappingProxyType(production), MappingProxyType(experiments))
            self._faults, self._experiment_faults = faults, experiment_faults
            self._generation = generation
            for live in before.production.values():
                if live not in production.values():
                    live.metrics.set_accuracy(None)  # else its last value would alert for ever
            needed = self._table.live()
            for live in loaded.values():
                if live not in needed:
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

    async def _production(
        self, wanted: Mapping[str, str], loaded: dict[str, LiveVersion]
    ) -> tuple[dict[str, LiveVersion], dict[str, str]]:
        """Return what is in production, and what keeps the rest of it out, by model."""
        production: dict[str, LiveVersion] = {}
        faults: dict[str, str] = {}
        for model, model_id in wanted.items():
            try:
                if model_id not in loaded:
                    runtime = await asyncio.to_thread(self._registry.open_runtime, model_id)
                    loaded[model_id] = self._make_live(runtime)
                production[model] = loaded[model_id]
            except _UNLOADABLE as error:
                faults[model] = f"{model_id} cannot be loaded: {error}".rstrip(".")
                if (current := self.production.get(model)) is not None:
                    production[model] = current  # what answered so far goes on answering
        return production, faults

    async def _arms(
        self,
        running: Mapping[str, Sequence[Allocation]],
        production: Mapping[str, LiveVersion],
        loaded: dict[str, LiveVersion],
    ) -> tuple[dict[str, tuple[_Experiment, ...]], dict[str, str]]:
        """Return the experiments that can take traffic, and what keeps others from it."""
        experiments: dict[str, tuple[_Experiment, ...]] = {}
        faults: dict[str, str] = {}
        for model, allocations in running.items():
            for allocation in allocations:
                arms: dict[str, LiveVersion] = {}
                try:
                    for arm in allocation.arms:
                        version = arm.model_version
                        if version is None:
                            arms[arm.key] = _of_control(model, production)
                            continue
                        model_id = f"{model}:{version}"
                        if model_id not in loaded:
                            runtime = await asyncio.to_thread(self._open, model, version)
                            loaded[model_id] = self._make_live(runtime)
                        arms[arm.key] = loaded[model_id]
                except _UNLOADABLE as error:
                    told = f"experiment {allocation.label} takes no traffic: {error}".rstrip(".")
                    faults[allocation.label] = told
                else:
                    experiment = _Experiment(allocation, MappingProxyType(arms))
                    experiments[model] = (*experiments.get(model, ()), experiment)
        return experiments, faults

    def close(self) -> None:
        """Let every version end after what waits."""
        for live in self.live():
            live.close()

    def _open(self, model: str, version: str) -> Runtime:
        found = self._registry.find(model, version)
        if found is None or found.status is Status.ARCHIVED:
            known = self._registry.list_models(model_name=model)
            raise NotFoundError(
                "model version",
                f"{model}:{version}",
                f"It has {', '.join(v.version for v in known) or 'no versions'}.",
            )
        return self._registry.open_runtime(found.model_id)


def _of_control(model: str, production: Mapping[str, LiveVersion]) -> LiveVersion:
    if model not in production:
        raise UnavailableError(f"{model} has no version in production")
    return production[model]


def _forced(experiments: Sequence[_Experiment], call: Call) -> Route:
    """Return the arm that a call asks for; only units that an experiment lists may ask."""
    for experiment in experiments:
        live = experiment.arms.get(str(call.forced_variant))
        if live is not None and experiment.allocation.lists(call.unit_id) and not experiment.fault:
            return Route(live, str(call.forced_variant), experiment.allocation.label)
    raise InvalidValueError(
        "force_variant",
        call.forced_variant,
        "an arm of a running experiment whose overrides list the unit",
        f"Give unit {call.unit_id} an override in the experiment.",
    )
