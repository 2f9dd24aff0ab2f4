"""What a rollout stands on: the version in production that its own is compared with."""

from watchkeeper.errors import ConflictError, NotFoundError
from watchkeeper.experiments import ExperimentState
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.identity import ModelId
from watchkeeper.registry import ModelRegistry
from watchkeeper.rollouts import Rollout, RolloutState

__all__ = ["RolloutBase"]


class RolloutBase:
    """Reads what is in production, and whether a rollout may begin beside it.

    Parameters
    ----------
    registry : ModelRegistry
    experiments : ExperimentRepository
        Running experiments have the traffic of their models.
    """

    def __init__(self, registry: ModelRegistry, experiments: ExperimentRepository) -> None:
        self._registry, self._experiments = registry, experiments

    def of(self, model: str, version: str) -> str:
        """Return the version in production, if a rollout of another one could begin now.

        Parameters
        ----------
        model, version : str

        Returns
        -------
        str

        Raises
        ------
        NotFoundError
            If there is no such version, it is archived, or nothing of the model is in production.
        ConflictError
            If the version is in production already, or an experiment has the traffic of the model.
        """
        candidate = self._registry.usable(model, version)
        production = self._registry.get_production_model(model)
        if production is None:
            raise NotFoundError(
                "model in production", model, "A rollout needs one to compare with: promote it."
            )
        if production == candidate.model_id:
            raise ConflictError(f"{production} is in production already", "Choose another version.")
        for experiment in self._experiments.find(model, ExperimentState.RUNNING):
            raise ConflictError(
                f"the experiment {experiment.name} takes the traffic of {model}",
                "Stop it first: the effects of two changes at once cannot be separated.",
            )
        return ModelId.parse(production).version

    def require(self, rollout: Rollout) -> None:
        """Refuse a rollout whose versions were archived, replaced or taken since it was checked.

        Parameters
        ----------
        rollout : Rollout

        Raises
        ------
        NotFoundError, ConflictError
            As `of`; also if another version than its stable one is in production.
        """
        if self.of(rollout.model, rollout.version) != rollout.stable:
            raise ConflictError(
                f"{rollout.model}:{rollout.stable} is not in production any more",
                "Start the rollout again.",
            )

    def displaced(self, rollout: Rollout) -> str:
        """Return what is in production instead of the version that the rollout stands on.

        Parameters
        ----------
        rollout : Rollout

        Returns
        -------
        str
            A sentence; empty if that version is in production.
        """
        production = self._registry.get_production_model(rollout.model)
        expected = rollout.version if rollout.state is RolloutState.COMPLETED else rollout.stable
        if production == f"{rollout.model}:{expected}":
            return ""
        return f"{production or 'nothing'} is in production, which the rollout did not put there"
