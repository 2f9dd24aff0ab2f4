"""``[models.NAME]``: what Watchkeeper should know about one model."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from watchkeeper.config.renames import ROLLOUT, refuse_renamed, renamed, renamed_policy
from watchkeeper.config.tables import PolicyTable, SettingsTable, with_changes
from watchkeeper.labelling import Labelling
from watchkeeper.policies.health import HealthPolicy, SloPolicy
from watchkeeper.policies.online import OnlinePolicy
from watchkeeper.policies.quantities import Count, Positive, Share
from watchkeeper.policies.retraining import Policy
from watchkeeper.policies.rollouts import RolloutPolicy

if TYPE_CHECKING:
    from watchkeeper.rollouts import Plan

__all__ = ["DriftPolicy", "ModelPolicy", "QualityPolicy"]


class DriftPolicy(SettingsTable):
    """``[models.NAME.drift]``: when inputs count as drifted, and how often a server looks."""

    alpha: Share = 0.05
    window: Positive = 86_400.0
    interval: Positive = 3_600.0


class QualityPolicy(SettingsTable):
    """``[models.NAME.quality]``: over what quality is measured, and when a drop counts."""

    window_size: Count = 1000
    interval: Positive = 60.0
    max_relative_drop: Share = 0.05
    min_samples: Count = 100


class ModelPolicy(SettingsTable):
    """``[models.NAME]``: what Watchkeeper should know about one model."""

    task: Literal["binary", "multiclass", "regression"] = "binary"
    positive: bool | int | float | str = 1
    promotion_requires_checklist: bool = False
    drift: DriftPolicy = DriftPolicy()
    quality: QualityPolicy = QualityPolicy()
    rollout: Annotated[RolloutPolicy, PolicyTable()] = RolloutPolicy()
    health: Annotated[HealthPolicy, PolicyTable()] = HealthPolicy()
    slo: Annotated[SloPolicy, PolicyTable()] = SloPolicy()
    retraining: Annotated[Policy, PolicyTable()] = Policy()
    online: Annotated[OnlinePolicy, PolicyTable()] = OnlinePolicy()

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed(cls, tables: Any) -> Any:
        if isinstance(tables, Mapping):
            refuse_renamed("the policy of a model", renamed_policy(tables))
        return tables

    @property
    def labelling(self) -> Labelling:
        """What its labels mean."""
        return Labelling(self.task, self.positive)

    def health_terms(self) -> dict[str, Any]:
        """Return what `watchkeeper.monitoring.health.health_of` is to go by.

        Returns
        -------
        dict of str to Any
            Keyword arguments.
        """
        from watchkeeper.health import Slo

        return {
            "window": timedelta(hours=self.health.window_hours),
            "thresholds": self.health.thresholds(),
            "slos": (
                Slo(name="errors", objective=self.slo.errors, days=self.slo.days),
                Slo(name="latency", objective=self.slo.latency, days=self.slo.days),
            ),
            "task": self.task,
            "positive": self.positive,
        }

    def rollout_plan(self, **changes: object) -> "Plan":
        """Return the plan of a rollout, with changes to its settings.

        Parameters
        ----------
        **changes : object
            Values by the names of settings.

        Returns
        -------
        Plan

        Raises
        ------
        RenamedSettingError
            If changes use names of before 0.2.0.
        InvalidValueError
            If a change is none, or makes a plan that cannot be.
        """
        from watchkeeper.rollouts.planning import plan_of

        refuse_renamed("the plan", renamed(changes, ROLLOUT))
        policy: RolloutPolicy = with_changes(self.rollout, changes)
        return plan_of(policy, regression=self.task == "regression")
