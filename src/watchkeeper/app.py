"""The composition root: settings in, services out, each put together when it is first used.

>>> import tempfile
>>> from pathlib import Path
>>> from watchkeeper.config import Settings
>>> with tempfile.TemporaryDirectory() as folder, App(Settings(data_dir=Path(folder))) as app:
...     app.events.models()
[]
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper.clock import system_clock
from watchkeeper.config import Settings
from watchkeeper.stores import Stores

if TYPE_CHECKING:
    from watchkeeper.access import Access
    from watchkeeper.labelling import Labelling
    from watchkeeper.monitoring.doctor import DoctorCheck
    from watchkeeper.monitoring.drift_history import DriftHistory
    from watchkeeper.monitoring.experiments import ExperimentReports
    from watchkeeper.monitoring.feature_drift import DriftLooks
    from watchkeeper.monitoring.health import ModelHealth
    from watchkeeper.monitoring.history import History
    from watchkeeper.monitoring.readiness import Readiness
    from watchkeeper.monitoring.replay import Replays
    from watchkeeper.monitoring.report_cache import Reports
    from watchkeeper.monitoring.retraining import RetrainingMonitor
    from watchkeeper.monitoring.rollouts import RolloutMonitor
    from watchkeeper.monitoring.shadows import ShadowReports
    from watchkeeper.monitoring.timelines import Timelines
    from watchkeeper.operations.backups import Backups
    from watchkeeper.operations.changes import Changes
    from watchkeeper.operations.checklists import Checklists
    from watchkeeper.operations.compactions import Compactions
    from watchkeeper.operations.experiments import Experiments
    from watchkeeper.operations.incidents import Incidents
    from watchkeeper.operations.models import Models
    from watchkeeper.operations.online_learning import OnlineLearning
    from watchkeeper.operations.receivers import Receivers
    from watchkeeper.operations.retraining import Retraining
    from watchkeeper.operations.rollouts import Rollouts
    from watchkeeper.operations.shadows import Shadows

__all__ = ["App"]


class App(Stores):
    """The stores of one process, and the services over them.

    Parameters
    ----------
    settings : Settings
    clock : Clock, optional
        By default the one that ``server.clock`` names.

    Attributes
    ----------
    settings, clock, registry, events, …
        As of `Stores`.
    access : Access
        Who may do what over HTTP.
    backups : Backups
    checklists : Checklists
        Readiness of models, and waivers.
    changes : Changes
        What services publish after a commit, for those who follow in this process.
    compactions : Compactions
    drift_history : DriftHistory
    drift_looks : DriftLooks
        Kept drift checks by column, and features in the windows of them.
    experiment_reports : ExperimentReports
        What the recorded events say of experiments.
    experiments : Experiments
    history : History
        Records of models, each with those that led to it.
    incidents : Incidents
    models : Models
        Changes of model versions.
    online_learning : OnlineLearning
    readiness : Readiness
        The evidence of checklists.
    replays : Replays
        Stored decisions, computed again.
    receivers : Receivers
        Deliveries of notifications, and tests of the routes.
    reports : Reports
        Of experiments, rollouts and shadows, as they last were.
    retraining : Retraining
    retraining_monitor : RetrainingMonitor
        What decisions to retrain rest on.
    rollout_monitor : RolloutMonitor
        What the controller sees of rollouts.
    rollouts : Rollouts
    shadow_reports : ShadowReports
        How shadows compare with production.
    shadows : Shadows
    timelines : Timelines
        Of all models; how old they are is told by the system's clock.
    """

    @cached_property
    def access(self) -> "Access":
        from watchkeeper.access import Access, kept_secret

        server = self.settings.server
        secret = kept_secret(self.settings.data_dir / "session.secret")
        return Access(server.api_keys, server.read_keys, secret=secret)

    @cached_property
    def changes(self) -> "Changes":
        from watchkeeper.operations.changes import Changes

        return Changes()

    @cached_property
    def backups(self) -> "Backups":
        from watchkeeper.operations.backups import Backups

        settings = self.settings
        return Backups(
            settings.data_dir,
            audit=self.audit,
            clock=system_clock,
            target=settings.backup.target,
            keep=settings.backup.keep,
            contents=_contents_of,
        )

    @cached_property
    def checklists(self) -> "Checklists":
        from watchkeeper.operations.checklists import Checklists

        def required(model: str) -> bool:
            return self.settings.policy(model).promotion_requires_checklist

        return Checklists(self.readiness, audit=self.audit, clock=self.clock, required=required)

    @cached_property
    def compactions(self) -> "Compactions":
        from watchkeeper.operations.compactions import Compactions

        store = self.settings.store
        return Compactions(
            self.events,
            audit=self.audit,
            clock=system_clock,
            retention_days=store.retention_days,
            max_bytes=store.max_bytes,
        )

    @cached_property
    def models(self) -> "Models":
        from watchkeeper.operations.models import Models

        return Models(
            self.registry,
            checklists=self.checklists,
            rollouts=self.rollout_repository,
            experiments=self.experiment_repository,
            shadows=self.shadow_repository,
            audit=self.audit,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def readiness(self) -> "Readiness":
        from watchkeeper.monitoring.readiness import Readiness

        return Readiness(
            events=self.events,
            registry=self.registry,
            findings=self.findings,
            alerts=self.alerts,
            experiments=self.experiment_repository,
            incidents=self.incident_repository,
            audit=self.audit,
            reports=self.reports,
            clock=self.clock,
            installation=self.settings.installation(),
            health_terms=lambda model: self.settings.policy(model).health_terms(),
        )

    @cached_property
    def experiment_reports(self) -> "ExperimentReports":
        from watchkeeper.monitoring.experiments import ExperimentReports

        return ExperimentReports(
            self.experiment_repository,
            self.events,
            clock=self.clock,
            labelling=self.labelling,
        )

    @cached_property
    def experiments(self) -> "Experiments":
        from watchkeeper.operations.experiments import Experiments

        return Experiments(
            self.experiment_repository,
            reports=self.experiment_reports,
            registry=self.registry,
            rollouts=self.rollouts,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def drift_history(self) -> "DriftHistory":
        from watchkeeper.monitoring.drift_history import DriftHistory

        return DriftHistory(self.findings)

    @cached_property
    def drift_looks(self) -> "DriftLooks":
        from watchkeeper.monitoring.feature_drift import DriftLooks

        return DriftLooks(self.events, self.registry)

    @cached_property
    def history(self) -> "History":
        from watchkeeper.monitoring.history import History

        return History(
            audit=self.audit,
            findings=self.findings,
            retraining=self.retraining_repository,
            rollouts=self.rollout_repository,
            registry=self.registry,
        )

    @cached_property
    def replays(self) -> "Replays":
        from watchkeeper.monitoring.replay import QualityTerms, Replays

        def terms(model: str) -> QualityTerms:
            policy = self.settings.policy(model)
            return QualityTerms(policy.labelling, policy.quality.min_samples)

        return Replays(
            events=self.events,
            registry=self.registry,
            audit=self.audit,
            findings=self.findings,
            retraining=self.retraining_repository,
            rollouts=self.rollout_repository,
            terms=terms,
        )

    @cached_property
    def receivers(self) -> "Receivers":
        from watchkeeper.monitoring.notifications import NotificationQueue
        from watchkeeper.notifications.sending import send
        from watchkeeper.operations.receivers import Receivers

        return Receivers(
            self.places,
            queue=NotificationQueue(
                self.places, incidents=self.incident_repository, audit=self.audit
            ),
            alerts=self.alerts,
            audit=self.audit,
            clock=system_clock,
            configured=self.settings.receivers,
            send=send,
            url=self.settings.url,
            group_wait=self.settings.notifications.group_wait,
        )

    @cached_property
    def retraining_monitor(self) -> "RetrainingMonitor":
        from watchkeeper.monitoring.retraining import RetrainingMonitor

        return RetrainingMonitor(
            self.retraining_repository,
            events=self.events,
            arrivals=self.arrivals,
            registry=self.registry,
            findings=self.findings,
            rollouts=self.rollout_repository,
            shadows=self.shadow_repository,
            clock=self.clock,
            policy=lambda model: self.settings.policy(model).retraining,
        )

    @cached_property
    def retraining(self) -> "Retraining":
        from watchkeeper.operations.retraining import Retraining

        return Retraining(
            self.retraining_repository,
            monitor=self.retraining_monitor,
            events=self.events,
            arrivals=self.arrivals,
            registry=self.registry,
            models=self.models,
            rollouts=self.rollouts,
            shadows=self.shadows,
            changes=self.changes,
            clock=self.clock,
            policy=lambda model: self.settings.policy(model).retraining,
            labelling=self.labelling,
        )

    @cached_property
    def online_learning(self) -> "OnlineLearning":
        from watchkeeper.operations.online_learning import OnlineLearning

        return OnlineLearning(
            models=self.models,
            rollouts=self.rollouts,
            events=self.events,
            audit=self.audit,
            retraining=self.retraining_repository,
            clock=self.clock,
            policy=lambda model: self.settings.policy(model).online,
            labelling=self.labelling,
        )

    @cached_property
    def incidents(self) -> "Incidents":
        from watchkeeper.operations.incidents import Incidents

        return Incidents(
            self.incident_repository,
            alerts=self.alerts,
            clock=self.clock,
            url=self.settings.url,
        )

    @cached_property
    def reports(self) -> "Reports":
        from watchkeeper.monitoring.report_cache import Reports

        return Reports()

    @cached_property
    def rollout_monitor(self) -> "RolloutMonitor":
        from watchkeeper.monitoring.rollouts import RolloutMonitor

        return RolloutMonitor(
            self.rollout_repository,
            self.events,
            clock=self.clock,
            labelling=self.labelling,
            unready=self.checklists.unready,
        )

    @cached_property
    def rollouts(self) -> "Rollouts":
        from watchkeeper.operations.rollouts import Rollouts

        return Rollouts(
            self.rollout_repository,
            monitor=self.rollout_monitor,
            registry=self.registry,
            experiments=self.experiment_repository,
            incidents=self.incidents,
            changes=self.changes,
            clock=self.clock,
            plan=lambda model: self.settings.policy(model).rollout_plan(),
            checklists=self.checklists,
        )

    @cached_property
    def shadow_reports(self) -> "ShadowReports":
        from watchkeeper.monitoring.shadows import ShadowReports

        return ShadowReports(
            self.shadow_repository,
            self.events,
            clock=self.clock,
            labelling=self.labelling,
        )

    @cached_property
    def shadows(self) -> "Shadows":
        from watchkeeper.operations.shadows import Shadows

        return Shadows(
            self.shadow_repository,
            reports=self.shadow_reports,
            registry=self.registry,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def timelines(self) -> "Timelines":
        from watchkeeper.monitoring.timelines import Timelines

        folder = self.settings.data_dir / "timelines"
        return Timelines(self.events, folder, labelling=self.labelling, clock=system_clock)

    def health(self, model: str, at: datetime | None = None) -> "ModelHealth":
        """Return the health of a model by its policy, by default now.

        Parameters
        ----------
        model : str
        at : datetime, optional
            By default now.

        Returns
        -------
        ModelHealth
        """
        from watchkeeper.monitoring.health import health_of

        terms = self.settings.policy(model).health_terms()
        now = self.clock() if at is None else at
        return health_of(
            self.events, self.registry, self.findings, self.alerts, model, at=now, **terms
        )

    def examine(self) -> "Iterator[DoctorCheck]":
        """Look whether everything is in order; see `watchkeeper.monitoring.doctor.examine`.

        Returns
        -------
        iterator of DoctorCheck
        """
        from watchkeeper.monitoring.doctor import examine
        from watchkeeper.store.segments import waiting

        data_dir, least = self.settings.data_dir, self.settings.store.min_free_bytes
        segments = waiting(data_dir / "journal")
        return examine(
            lambda: self.events,
            lambda: self.registry,
            data_dir,
            waiting=(segments.count, segments.size),
            min_free_bytes=least,
        )

    def labelling(self, model: str) -> "Labelling":
        """Return what the labels of a model mean, by its settings.

        Parameters
        ----------
        model : str

        Returns
        -------
        Labelling
        """
        return self.settings.policy(model).labelling

    def close(self) -> None:
        """Seal the journal and let go of what is open."""
        if "reports" in vars(self):
            vars(self).pop("reports").close()
        super().close()


def _contents_of(data_dir: Path) -> dict[str, int]:
    """Return what there is in a restored data directory, each version of which is checked."""
    with Stores(Settings(data_dir=data_dir)) as stores:
        stores.landing.land()
        counts = [stores.events.counts(model) for model in stores.events.models()]
        versions = stores.registry.list_models()
        for version in versions:
            stores.registry.verify(version.model_id)
    return {
        "predictions": sum(count.predictions for count in counts),
        "outcomes": sum(count.outcomes for count in counts),
        "versions": len(versions),
    }
