"""The composition root: settings in, the parts out, each put together when it is first used.

>>> import tempfile
>>> from pathlib import Path
>>> from watchkeeper.config import Settings
>>> with tempfile.TemporaryDirectory() as folder, App(Settings(data_dir=Path(folder))) as app:
...     app.events.models()
[]
"""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from watchkeeper.clock import Arrivals, Clock, ReplayClock, system_clock
from watchkeeper.config import Settings
from watchkeeper.errors import NotFoundError, UnavailableError
from watchkeeper.events import FEATURE

if TYPE_CHECKING:
    from watchkeeper.access import Access
    from watchkeeper.incidents import AlertRepository
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
    from watchkeeper.notifications.repository import PlaceRepository
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
    from watchkeeper.records import AuditTrail, FindingRepository
    from watchkeeper.registry import ModelRegistry
    from watchkeeper.store import ControlDatabase, EventStore, JournalRecorder, Landing

__all__ = ["App", "DataDirError"]

Kind = Literal["number", "word", "truth"]

_KINDS: dict[str, Kind] = {
    "number": "number",
    "integer": "number",
    "boolean": "truth",
    "string": "word",
}


class DataDirError(UnavailableError):
    """The data directory cannot be used."""

    def __init__(self, data_dir: str, why: str) -> None:
        super().__init__(
            f"the data directory {data_dir} {why}; expected a directory that can be written",
            "Choose another with --data-dir, WATCHKEEPER_DATA_DIR or data_dir in watchkeeper.toml.",
        )
        self.args = (data_dir, why)
        self.data_dir, self.why = data_dir, why


class App:
    """The parts of one process over one data directory.

    Parameters
    ----------
    settings : Settings
    clock : Clock, optional
        By default the one that ``server.clock`` names.

    Attributes
    ----------
    settings : Settings
    clock : Clock
    access : Access
        Who may do what over HTTP.
    arrivals : Arrivals
        When the events arrive that this process writes.
    registry : ModelRegistry
    control_database : ControlDatabase
        The one that alerts, the audit trail, experiments, findings, retrainings, rollouts and
        shadows share.
    events : EventStore
        Where events are read; an `EventLog` that can also compact.
    recorder : JournalRecorder
        Where events are written; a journal is opened when it is first used.
    landing : Landing
    alerts : AlertRepository
    audit : AuditTrail
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
    findings : FindingRepository
    history : History
        Records of models, each with those that led to it.
    incidents : Incidents
    models : Models
        Changes of model versions.
    online_learning : OnlineLearning
    places : PlaceRepository
        How far receivers of notifications were told.
    readiness : Readiness
        The evidence of checklists.
    replays : Replays
        Stored decisions, computed again.
    receivers : Receivers
        Deliveries of notifications, and tests of the routes to people.
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

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        named: Clock = ReplayClock() if settings.server.clock == "events" else system_clock
        self.clock = clock or named
        self.arrivals = Arrivals(self.clock)
        self._types: dict[tuple[str, str], dict[str, Kind]] = {}
        self._require_data_dir()

    @cached_property
    def access(self) -> "Access":
        from watchkeeper.access import Access, kept_secret

        server = self.settings.server
        secret = kept_secret(self.settings.data_dir / "session.secret")
        return Access(server.api_keys, server.read_keys, secret=secret)

    @cached_property
    def registry(self) -> "ModelRegistry":
        from watchkeeper.registry import ModelRegistry

        settings = self.settings.registry
        return ModelRegistry(
            self.settings.data_dir / "registry",
            clock=self.clock,
            signing_key=settings.signing_key,
            public_key=settings.public_key,
        )

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
        from watchkeeper.experiments.repository import ExperimentRepository
        from watchkeeper.operations.models import Models
        from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository

        database = self.control_database
        return Models(
            self.registry,
            checklists=self.checklists,
            rollouts=RolloutRepository(database),
            experiments=ExperimentRepository(database),
            shadows=ShadowRepository(database),
            audit=self.audit,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def readiness(self) -> "Readiness":
        from watchkeeper.experiments.repository import ExperimentRepository
        from watchkeeper.incidents import IncidentRepository
        from watchkeeper.monitoring.readiness import Readiness

        return Readiness(
            events=self.events,
            registry=self.registry,
            findings=self.findings,
            alerts=self.alerts,
            experiments=ExperimentRepository(self.control_database),
            incidents=IncidentRepository(self.control_database),
            audit=self.audit,
            reports=self.reports,
            clock=self.clock,
            installation=self.settings.installation(),
            health_terms=lambda model: self.settings.policy(model).health_terms(),
        )

    @cached_property
    def control_database(self) -> "ControlDatabase":
        from watchkeeper.store import ControlDatabase

        return ControlDatabase(self.registry.control_url)

    @cached_property
    def alerts(self) -> "AlertRepository":
        from watchkeeper.incidents import AlertRepository

        return AlertRepository(self.control_database)

    @cached_property
    def audit(self) -> "AuditTrail":
        from watchkeeper.records import AuditTrail

        return AuditTrail(self.control_database)

    @cached_property
    def experiment_reports(self) -> "ExperimentReports":
        from watchkeeper.experiments.repository import ExperimentRepository
        from watchkeeper.monitoring.experiments import ExperimentReports

        return ExperimentReports(
            ExperimentRepository(self.control_database),
            self.events,
            clock=self.clock,
            labelling=self.labelling,
        )

    @cached_property
    def experiments(self) -> "Experiments":
        from watchkeeper.operations.experiments import Experiments

        return Experiments(
            self.experiment_reports.repository,
            reports=self.experiment_reports,
            registry=self.registry,
            rollouts=self.rollouts,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def findings(self) -> "FindingRepository":
        from watchkeeper.records import FindingRepository

        return FindingRepository(self.control_database)

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
            retraining=self.retraining_monitor.repository,
            rollouts=self.rollout_monitor.repository,
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
            retraining=self.retraining_monitor.repository,
            rollouts=self.rollout_monitor.repository,
            terms=terms,
        )

    @cached_property
    def places(self) -> "PlaceRepository":
        from watchkeeper.notifications.repository import PlaceRepository

        return PlaceRepository(self.control_database)

    @cached_property
    def receivers(self) -> "Receivers":
        from watchkeeper.incidents import IncidentRepository
        from watchkeeper.monitoring.notifications import NotificationQueue
        from watchkeeper.notifications.sending import send
        from watchkeeper.operations.receivers import Receivers

        incidents = IncidentRepository(self.control_database)
        return Receivers(
            self.places,
            queue=NotificationQueue(self.places, incidents=incidents, audit=self.audit),
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
        from watchkeeper.retraining.repository import RetrainingRepository

        return RetrainingMonitor(
            RetrainingRepository(self.control_database, self.settings.data_dir / "retraining"),
            events=self.events,
            arrivals=self.arrivals,
            registry=self.registry,
            findings=self.findings,
            rollouts=self.rollout_monitor.repository,
            shadows=self.shadow_reports.repository,
            clock=self.clock,
            policy=lambda model: self.settings.policy(model).retraining,
        )

    @cached_property
    def retraining(self) -> "Retraining":
        from watchkeeper.operations.retraining import Retraining

        return Retraining(
            self.retraining_monitor.repository,
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
            retraining=self.retraining_monitor.repository,
            clock=self.clock,
            policy=lambda model: self.settings.policy(model).online,
            labelling=self.labelling,
        )

    @cached_property
    def incidents(self) -> "Incidents":
        from watchkeeper.incidents import IncidentRepository
        from watchkeeper.operations.incidents import Incidents

        return Incidents(
            IncidentRepository(self.control_database),
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
        from watchkeeper.rollouts.repository import RolloutRepository

        return RolloutMonitor(
            RolloutRepository(self.control_database),
            self.events,
            clock=self.clock,
            labelling=self.labelling,
            unready=self.checklists.unready,
        )

    @cached_property
    def rollouts(self) -> "Rollouts":
        from watchkeeper.operations.rollouts import Rollouts

        return Rollouts(
            self.rollout_monitor.repository,
            monitor=self.rollout_monitor,
            registry=self.registry,
            experiments=self.experiment_reports.repository,
            incidents=self.incidents,
            changes=self.changes,
            clock=self.clock,
            plan=lambda model: self.settings.policy(model).rollout_plan(),
            checklists=self.checklists,
        )

    @cached_property
    def shadow_reports(self) -> "ShadowReports":
        from watchkeeper.monitoring.shadows import ShadowReports
        from watchkeeper.rollouts.repository import ShadowRepository

        return ShadowReports(
            ShadowRepository(self.control_database),
            self.events,
            clock=self.clock,
            labelling=self.labelling,
        )

    @cached_property
    def shadows(self) -> "Shadows":
        from watchkeeper.operations.shadows import Shadows

        return Shadows(
            self.shadow_reports.repository,
            reports=self.shadow_reports,
            registry=self.registry,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def events(self) -> "EventStore":
        from watchkeeper.store import EventStore

        return EventStore(self.settings.data_dir, types=self.types)

    @cached_property
    def timelines(self) -> "Timelines":
        from watchkeeper.monitoring.timelines import Timelines

        folder = self.settings.data_dir / "timelines"
        return Timelines(self.events, folder, labelling=self.labelling, clock=system_clock)

    @cached_property
    def recorder(self) -> "JournalRecorder":
        from watchkeeper.store import Journal, JournalRecorder

        store = self.settings.store
        journal = Journal(
            self.settings.data_dir / "journal",
            segment_max_bytes=store.segment_max_bytes,
            segment_max_age=store.segment_max_age,
            fsync_interval=store.fsync_interval,
            max_bytes=store.journal_max_bytes,
            min_free_bytes=store.min_free_bytes,
        )
        return JournalRecorder(journal, when_full=store.when_full)

    @cached_property
    def landing(self) -> "Landing":
        from watchkeeper.store import Landing

        return Landing(self.settings.data_dir, types=self.types)

    def types(self, model: str, version: str) -> Mapping[str, Kind] | None:
        """Return what the signature of a registered version says of its columns, if it has one."""
        if (model, version) not in self._types:
            try:
                signature = self.registry.get(f"{model}:{version}").signature
            except NotFoundError:  # served elsewhere, or not registered yet
                return None
            self._types[model, version] = {
                f"{FEATURE}{feature.name}": _KINDS[feature.type]
                for feature in (signature.features if signature else ())
                if feature.type in _KINDS
            }
        return self._types[model, version]

    def health(self, model: str, at: datetime | None = None) -> "ModelHealth":
        """Return the health of a model by its policy, by default now."""
        from watchkeeper.monitoring.health import health_of

        terms = self.settings.policy(model).health_terms()
        now = self.clock() if at is None else at
        return health_of(
            self.events, self.registry, self.findings, self.alerts, model, at=now, **terms
        )

    def examine(self) -> "Iterator[DoctorCheck]":
        """Look whether everything is in order; see `watchkeeper.monitoring.doctor.examine`."""
        from watchkeeper.monitoring.doctor import examine
        from watchkeeper.store.segments import waiting

        data_dir, least = self.settings.data_dir, self.settings.store.min_free_bytes
        waits = partial(waiting, data_dir / "journal")
        return examine(self, data_dir, waiting=waits, min_free_bytes=least)

    def labelling(self, model: str) -> "Labelling":
        """Return what the labels of a model mean, by its settings."""
        return self.settings.policy(model).labelling

    def close(self) -> None:
        """Seal the journal and let go of what is open."""
        for part in ("reports", "recorder", "control_database", "registry"):
            if part in vars(self):
                vars(self).pop(part).close()

    def _require_data_dir(self) -> None:
        path = self.settings.data_dir
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise DataDirError(str(path), "is a file, or lies below one") from None
        except OSError as error:
            raise DataDirError(str(path), f"cannot be made ({error.strerror})") from None
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise DataDirError(str(path), "may not be written by this user")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _contents_of(data_dir: Path) -> dict[str, int]:
    """Return what there is in a restored data directory, each version of which is checked."""
    with App(Settings(data_dir=data_dir)) as app:
        app.landing.land()
        counts = [app.events.counts(model) for model in app.events.models()]
        versions = app.registry.list_models()
        for version in versions:
            app.registry.verify(version.model_id)
    return {
        "predictions": sum(count.predictions for count in counts),
        "outcomes": sum(count.outcomes for count in counts),
        "versions": len(versions),
    }
