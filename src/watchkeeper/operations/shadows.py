"""Every change of a shadow, with its rules."""

from watchkeeper.clock import Clock
from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.identity import By
from watchkeeper.monitoring.shadows import ShadowReports
from watchkeeper.operations.changes import Change, Changes
from watchkeeper.operations.service import DocumentService
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts.repository import ShadowRepository
from watchkeeper.rollouts.shadow import Shadow, ShadowReport, ShadowState

__all__ = ["Shadows"]


class Shadows(DocumentService[ShadowRepository, Shadow]):
    """Every change of a shadow, with its rules.

    Parameters
    ----------
    repository : ShadowRepository
    reports : ShadowReports
    registry : ModelRegistry
    changes : Changes
    clock : Clock
    """

    def __init__(
        self,
        repository: ShadowRepository,
        *,
        reports: ShadowReports,
        registry: ModelRegistry,
        changes: Changes,
        clock: Clock,
    ) -> None:
        super().__init__(repository)
        self._reports, self._registry = reports, registry
        self._changes, self._clock = changes, clock

    def start(self, name: str, *, model: str, version: str, share: float = 100.0, by: By) -> Shadow:
        """Let a version answer mirrored traffic.

        Parameters
        ----------
        name, model, version : str
        share : float
            Percent of the requests that are mirrored.
        by : By

        Returns
        -------
        Shadow

        Raises
        ------
        NotFoundError
            If there is no such version, it is archived, or nothing of the model is in production.
        IntegrityError
            If its files are not what was registered.
        ConflictError
            If another shadow of the model runs, or there is one of this name.
        """
        at = self._clock()
        shadow = Shadow(name=name, model=model, version=version, share=share, started_at=at)
        candidate = self._registry.usable(model, version)
        if self._registry.get_production_model(model) is None:
            raise NotFoundError("model in production", model, "Promote a version first.")
        for running in self.repository.find(model, ShadowState.RUNNING):
            raise ConflictError(f"the shadow {running.name} of {model} runs", "Stop it first.")
        self._registry.verify(candidate.model_id)
        self.repository.add(
            shadow, at=at, by=by, check=lambda: self._registry.usable(model, version)
        )
        self._changes.publish(Change("shadow", model))
        return shadow

    def stop(self, name: str, *, by: By) -> ShadowReport:
        """Mirror no more traffic to a shadow, and store what it was compared by.

        Parameters
        ----------
        name : str
        by : By

        Returns
        -------
        ShadowReport

        Raises
        ------
        ConflictError
            If it was stopped before.
        NotFoundError
            If there is none of this name.
        """
        before, at = self.repository.get(name), self._clock()
        after = before.stopped(at)
        report = self._reports.compute(after, at)
        self.repository.save(before, after, action="stop", at=at, by=by, evidence=report)
        self._changes.publish(Change("shadow", after.model))
        return report
