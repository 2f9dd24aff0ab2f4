"""What one process keeps in its data directory, each part opened when it is first used.

>>> import tempfile
>>> from pathlib import Path
>>> from watchkeeper.config import Settings
>>> with tempfile.TemporaryDirectory() as folder, Stores(Settings(data_dir=Path(folder))) as stores:
...     stores.events.models()
[]
"""

import os
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from watchkeeper.clock import Arrivals, Clock, ReplayClock, system_clock
from watchkeeper.config import Settings
from watchkeeper.errors import NotFoundError, UnavailableError
from watchkeeper.events import FEATURE

if TYPE_CHECKING:
    from watchkeeper.experiments.repository import ExperimentRepository
    from watchkeeper.incidents import AlertRepository, IncidentRepository
    from watchkeeper.notifications.repository import PlaceRepository
    from watchkeeper.records import AuditTrail, FindingRepository
    from watchkeeper.registry import ModelRegistry
    from watchkeeper.retraining.repository import RetrainingRepository
    from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository
    from watchkeeper.store import ControlDatabase, EventStore, JournalRecorder, Landing

__all__ = ["DataDirError", "Stores"]

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


class Stores:
    """The stores of one process over one data directory.

    Parameters
    ----------
    settings : Settings
    clock : Clock, optional
        By default the one that ``server.clock`` names.

    Attributes
    ----------
    settings : Settings
    clock : Clock
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
    experiment_repository : ExperimentRepository
    findings : FindingRepository
    incident_repository : IncidentRepository
    places : PlaceRepository
        How far receivers of notifications were told.
    retraining_repository : RetrainingRepository
    rollout_repository : RolloutRepository
    shadow_repository : ShadowRepository

    Raises
    ------
    DataDirError
        If the data directory cannot be made, or this user may not write there.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        named: Clock = ReplayClock() if settings.server.clock == "events" else system_clock
        self.clock = clock or named
        self.arrivals = Arrivals(self.clock)
        self._types: dict[tuple[str, str], dict[str, Kind]] = {}
        self._require_data_dir()

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
    def control_database(self) -> "ControlDatabase":
        from watchkeeper.store import ControlDatabase

        return ControlDatabase(self.registry.control_url)

    @cached_property
    def events(self) -> "EventStore":
        from watchkeeper.store import EventStore

        return EventStore(self.settings.data_dir, types=self.types)

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

    @cached_property
    def alerts(self) -> "AlertRepository":
        from watchkeeper.incidents import AlertRepository

        return AlertRepository(self.control_database)

    @cached_property
    def audit(self) -> "AuditTrail":
        from watchkeeper.records import AuditTrail

        return AuditTrail(self.control_database)

    @cached_property
    def findings(self) -> "FindingRepository":
        from watchkeeper.records import FindingRepository

        return FindingRepository(self.control_database)

    @cached_property
    def places(self) -> "PlaceRepository":
        from watchkeeper.notifications.repository import PlaceRepository

        return PlaceRepository(self.control_database)

    @cached_property
    def experiment_repository(self) -> "ExperimentRepository":
        from watchkeeper.experiments.repository import ExperimentRepository

        return ExperimentRepository(self.control_database)

    @cached_property
    def incident_repository(self) -> "IncidentRepository":
        from watchkeeper.incidents import IncidentRepository

        return IncidentRepository(self.control_database)

    @cached_property
    def retraining_repository(self) -> "RetrainingRepository":
        from watchkeeper.retraining.repository import RetrainingRepository

        return RetrainingRepository(self.control_database, self.settings.data_dir / "retraining")

    @cached_property
    def rollout_repository(self) -> "RolloutRepository":
        from watchkeeper.rollouts.repository import RolloutRepository

        return RolloutRepository(self.control_database)

    @cached_property
    def shadow_repository(self) -> "ShadowRepository":
        from watchkeeper.rollouts.repository import ShadowRepository

        return ShadowRepository(self.control_database)

    def types(self, model: str, version: str) -> Mapping[str, Kind] | None:
        """Return what the signature of a registered version says of its columns, if it has one.

        Parameters
        ----------
        model, version : str

        Returns
        -------
        mapping of str to Kind or None
            By the names of columns of features; None where the version is not registered.
        """
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

    def close(self) -> None:
        """Seal the journal and let go of what is open."""
        for part in ("recorder", "control_database", "registry"):
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
