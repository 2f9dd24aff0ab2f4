"""Loading: each version that the routing table needs is verified before it takes traffic.

What cannot be loaded is no error but a fault: a sentence that says what takes no traffic, and why.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from watchkeeper.errors import UnavailableError, UnloadableError, WatchkeeperError
from watchkeeper.experiments import Allocation
from watchkeeper.registry import ModelRegistry, Runtime
from watchkeeper.rollouts.shadow import Shadow, stream_of
from watchkeeper.rollouts.traffic_split import Split
from watchkeeper.serving.live_version import LiveVersion
from watchkeeper.serving.routing_table import LoadedExperiment

__all__ = ["Loader", "versions_of"]

_UNLOADABLE = (WatchkeeperError, OSError, ImportError)


class Loader:
    """Loads versions of a registry.

    Parameters
    ----------
    registry : ModelRegistry
    make_live : callable
        A loaded version to one that takes calls; a second argument says as which model it records.
    timeout : float
        Seconds after which the process of a shadow that has not answered is killed.
    """

    def __init__(
        self, registry: ModelRegistry, make_live: Callable[..., LiveVersion], timeout: float
    ) -> None:
        self._registry, self._make_live, self._timeout = registry, make_live, timeout

    async def version(self, model: str, version: str) -> LiveVersion:
        """Load one version.

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
        """
        return self._make_live(await asyncio.to_thread(self._open, model, version))

    async def production(
        self,
        wanted: Mapping[str, str],
        loaded: dict[str, LiveVersion],
        before: Mapping[str, LiveVersion],
    ) -> tuple[dict[str, LiveVersion], dict[str, str]]:
        """Return what is in production, and what keeps the rest of it out.

        Parameters
        ----------
        wanted : mapping of str to str
            Ids of versions by model.
        loaded : dict of str to LiveVersion
            By id; what is loaded is added.
        before : mapping of str to LiveVersion
            What answered so far, by model; it goes on where its successor cannot be loaded.

        Returns
        -------
        production : dict of str to LiveVersion
            By model.
        faults : dict of str to str
            By model.
        """
        production: dict[str, LiveVersion] = {}
        faults: dict[str, str] = {}
        for model, model_id in wanted.items():
            try:
                if model_id not in loaded:
                    runtime = await asyncio.to_thread(self._registry.open_runtime, model_id)
                    loaded[model_id] = self._make_live(runtime)
                production[model] = loaded[model_id]
            except _UNLOADABLE as error:
                faults[model] = _reason(model_id, error)
                if (current := before.get(model)) is not None:
                    production[model] = current
        return production, faults

    async def arms(
        self,
        running: Mapping[str, Sequence[Allocation]],
        production: Mapping[str, LiveVersion],
        loaded: dict[str, LiveVersion],
    ) -> tuple[dict[str, tuple[LoadedExperiment, ...]], dict[str, str]]:
        """Return the experiments that can take traffic, and what keeps others from it.

        Parameters
        ----------
        running : mapping of str to sequence of Allocation
            By model.
        production : mapping of str to LiveVersion
            By model: what answers for an arm without a version.
        loaded : dict of str to LiveVersion
            By id; what is loaded is added.

        Returns
        -------
        experiments : dict of str to tuple of LoadedExperiment
            By model.
        faults : dict of str to str
            By label of the experiment.
        """
        experiments: dict[str, tuple[LoadedExperiment, ...]] = {}
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
                            loaded[model_id] = await self.version(model, version)
                        arms[arm.key] = loaded[model_id]
                except _UNLOADABLE as error:
                    message = f"experiment {allocation.label} takes no traffic: {error}".rstrip(".")
                    faults[allocation.label] = message
                else:
                    experiment = LoadedExperiment(allocation, MappingProxyType(arms))
                    experiments[model] = (*experiments.get(model, ()), experiment)
        return experiments, faults

    async def rolling(
        self, splits: Mapping[str, Split], loaded: dict[str, LiveVersion]
    ) -> tuple[dict[str, LiveVersion], dict[str, str]]:
        """Return both versions of each rollout, and what keeps any of them out.

        Parameters
        ----------
        splits : mapping of str to Split
            By model.
        loaded : dict of str to LiveVersion
            By id; what is loaded is added.

        Returns
        -------
        rolling : dict of str to LiveVersion
            By id.
        faults : dict of str to str
            By model.
        """
        rolling: dict[str, LiveVersion] = {}
        faults: dict[str, str] = {}
        for model, split in splits.items():
            for model_id in versions_of(split):
                try:
                    if model_id not in loaded:
                        version = model_id.partition(":")[2]
                        loaded[model_id] = await self.version(model, version)
                    rolling[model_id] = loaded[model_id]
                except _UNLOADABLE as error:
                    faults[model] = _reason(model_id, error)
        return rolling, faults

    async def shadows(
        self, running: Mapping[str, Shadow], before: Mapping[str, tuple[Shadow, LiveVersion]]
    ) -> tuple[dict[str, tuple[Shadow, LiveVersion]], dict[str, str]]:
        """Return the shadows that can be asked, and what keeps others from it.

        Parameters
        ----------
        running : mapping of str to Shadow
            By model.
        before : mapping of str to (Shadow, LiveVersion)
            Those that are loaded already, by model.

        Returns
        -------
        shadows : dict of str to (Shadow, LiveVersion)
            By model.
        faults : dict of str to str
        """
        shadows: dict[str, tuple[Shadow, LiveVersion]] = {}
        faults: dict[str, str] = {}
        for model, shadow in running.items():
            try:
                if model in before and before[model][0] == shadow:
                    shadows[model] = before[model]
                    continue
                runtime = await asyncio.to_thread(self._apart, model, shadow.version)
                shadows[model] = shadow, self._make_live(runtime, stream_of(model))
            except _UNLOADABLE as error:
                message = f"shadow {shadow.name} is not asked: {error}".rstrip(".")
                faults[f"shadow {shadow.name}"] = message
        return shadows, faults

    def _apart(self, model: str, version: str) -> Runtime:
        from watchkeeper.registry.isolated import ApartRuntime

        model_id = self._registry.usable(model, version).model_id
        return ApartRuntime(self._registry, model_id, timeout=self._timeout)

    def _open(self, model: str, version: str) -> Runtime:
        return self._registry.open_runtime(self._registry.usable(model, version).model_id)


def versions_of(split: Split) -> tuple[str, str]:
    """Return the ids of both versions of a rollout.

    Parameters
    ----------
    split : Split

    Returns
    -------
    canary, stable : str
    """
    return f"{split.model}:{split.canary}", f"{split.model}:{split.stable}"


def _reason(model_id: str, error: Exception) -> str:
    if isinstance(error, UnloadableError):
        return error.message
    return f"{model_id} cannot be loaded: {error}".rstrip(".")


def _of_control(model: str, production: Mapping[str, LiveVersion]) -> LiveVersion:
    if model not in production:
        raise UnavailableError(f"{model} has no version in production")
    return production[model]
