"""Routing: which loaded version answers a request.

The table of versions in production is built from the registry and swapped whole, so that a request
sees either the old table or the new one. A version is loaded and verified before it takes traffic.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType

from watchkeeper.errors import ConflictError, NotFoundError, UnavailableError, WatchkeeperError
from watchkeeper.registry import ModelRegistry, Runtime, Status
from watchkeeper.server.predicting import LiveVersion

__all__ = ["PINNED", "PRODUCTION", "Router"]

log = logging.getLogger(__name__)

PRODUCTION, PINNED = "production", "pinned"
_MOST_PINNED = 8  # versions outside production that stay loaded


class Router:
    """Loaded versions by model.

    Parameters
    ----------
    registry : ModelRegistry
    make_live : callable
        A loaded version to one that takes calls.
    """

    def __init__(
        self, registry: ModelRegistry, make_live: Callable[[Runtime], LiveVersion]
    ) -> None:
        self._registry, self._make_live = registry, make_live
        self._table: Mapping[str, LiveVersion] = MappingProxyType({})
        self._pinned: OrderedDict[str, LiveVersion] = OrderedDict()
        self._faults: dict[str, str] = {}
        self._generation = -1
        self._loading = asyncio.Lock()

    @property
    def production(self) -> Mapping[str, LiveVersion]:
        """The versions in production, by model."""
        return self._table

    @property
    def faults(self) -> list[str]:
        """What keeps models from answering, as sentences."""
        hanging = [live.fault for live in self.live() if live.fault]
        return [*self._faults.values(), *hanging]

    def live(self) -> list[LiveVersion]:
        """Return every loaded version."""
        return [*self._table.values(), *self._pinned.values()]

    def in_production(self, model: str) -> LiveVersion:
        """Return the version of `model` that is in production.

        Raises
        ------
        NotFoundError
            If it has none.
        UnavailableError
            If it has one that cannot be loaded.
        """
        live = self._table.get(model)
        if live is not None:
            return live
        if model in self._faults:
            raise UnavailableError(self._faults[model], retry_after=5.0)
        known = ", ".join(sorted(self._table)) or "none"
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
        if len(self._table) == 1:
            return next(iter(self._table.values()))
        if not self._table:
            raise NotFoundError("model in production", "", "Promote a version first.")
        raise ConflictError(
            f"several models are in production: {', '.join(sorted(self._table))}",
            "Name one, POST /v1/models/NAME/invocations, or set server.default_model.",
        )

    async def version(self, model: str, version: str) -> LiveVersion:
        """Return one version of a model, loading it when it is not in production.

        Raises
        ------
        NotFoundError
            If there is no such version, or it is archived.
        """
        live = self._table.get(model)
        if live is not None and live.runtime.version.version == version:
            return live
        model_id = f"{model}:{version}"
        async with self._loading:
            if model_id not in self._pinned:
                runtime = await asyncio.to_thread(self._open, model, version)
                self._pinned[model_id] = self._make_live(runtime)
                if len(self._pinned) > _MOST_PINNED:
                    self._pinned.popitem(last=False)[1].close()
            self._pinned.move_to_end(model_id)
            return self._pinned[model_id]

    async def refresh(self) -> bool:
        """Follow the registry; return whether anything changed."""
        generation = await asyncio.to_thread(self._registry.generation)
        if generation == self._generation and not self._faults:
            return False
        async with self._loading:
            wanted = await asyncio.to_thread(self._registry.production)
            table: dict[str, LiveVersion] = {}
            faults: dict[str, str] = {}
            for model, model_id in wanted.items():
                current = self._table.get(model)
                if current is not None and current.runtime.model_id == model_id:
                    table[model] = current
                    continue
                try:
                    runtime = await asyncio.to_thread(self._registry.open_runtime, model_id)
                except (WatchkeeperError, OSError, ImportError) as error:
                    faults[model] = f"{model_id} cannot be loaded: {error}".rstrip(".")
                    if self._faults.get(model) != faults[model]:
                        log.error("%s", faults[model])
                    if current is not None:
                        table[model] = current  # what answered so far goes on answering
                else:
                    table[model] = self._make_live(runtime)
            replaced = [old for old in self._table.values() if old not in table.values()]
            self._table, self._faults = MappingProxyType(table), faults
            self._generation = generation
            for old in replaced:
                old.close()
                old.metrics.set_accuracy(None)  # else its last value would alert for ever
        return True

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
