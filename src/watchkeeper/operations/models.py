"""Model versions: registered, promoted, rolled back, archived and deleted, with their rules."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.clock import Clock
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.experiments import ExperimentState
from watchkeeper.experiments.repository import ExperimentRepository
from watchkeeper.identity import By, ModelId
from watchkeeper.operations.changes import Change, Changes
from watchkeeper.operations.checklists import Checklists
from watchkeeper.readiness.evidence import LOAD_TEST, REHEARSAL, load_test_of, rehearsal_of
from watchkeeper.records import AuditTrail, Entry
from watchkeeper.registry import Lineage, ModelRegistry, ModelVersion, Remote
from watchkeeper.registry.formats import Format, format_of_file, load
from watchkeeper.rollouts.repository import RolloutRepository, ShadowRepository
from watchkeeper.rollouts.shadow import ShadowState

__all__ = ["Models", "named"]


class Models:
    """Every change of a model version.

    Parameters
    ----------
    registry : ModelRegistry
    checklists : Checklists
    rollouts : RolloutRepository
    experiments : ExperimentRepository
    shadows : ShadowRepository
        Where a version may be in use.
    audit : AuditTrail
    changes : Changes
    clock : Clock

    Attributes
    ----------
    registry : ModelRegistry
        For reads.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        checklists: Checklists,
        rollouts: RolloutRepository,
        experiments: ExperimentRepository,
        shadows: ShadowRepository,
        audit: AuditTrail,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self.registry, self._checklists = registry, checklists
        self._rollouts, self._experiments, self._shadows = rollouts, experiments, shadows
        self._audit, self._changes, self._clock = audit, changes, clock

    def get(self, model_id: str | ModelId) -> ModelVersion:
        """Return a version.

        Parameters
        ----------
        model_id : str or ModelId
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If there is no such version or alias.
        """
        return self.registry.get(str(model_id))

    def register_file(
        self,
        file: Path,
        name: str,
        version: str,
        *,
        metrics: Mapping[str, float],
        description: str = "",
        tags: Mapping[str, str] | None = None,
        training_data: object = None,
        lineage: Lineage | None = None,
        card: str = "",
        trusted: Sequence[str] = (),
        allow_unsafe: bool = False,
        by: By,
    ) -> ModelVersion:
        """Register the model in a file; its ending says the format.

        Parameters
        ----------
        file : Path
        name, version : str
        metrics : mapping of str to float
            Of the evaluation.
        description : str
        tags : mapping of str to str, optional
        training_data : path, str or data frame, optional
            What the profile is made of.
        lineage : Lineage, optional
        card : str
            In Markdown.
        trusted : sequence of str
            Names of types beyond the default ones that loading may make.
        allow_unsafe : bool
            Consent to a format that runs code when it is loaded.
        by : By

        Returns
        -------
        ModelVersion

        Raises
        ------
        InvalidValueError
            If the file cannot be read as its format.
        ConflictError, UntrustedTypesError, UnsafeFormatError
            As `ModelRegistry.register_model`.
        """
        kind = format_of_file(file)
        model_id = self.registry.register_model(
            _model_in(file, kind, trusted, allow_unsafe),
            name,
            version,
            metrics,
            description,
            tags,
            training_data=training_data,
            lineage=lineage,
            card=card,
            format=kind,
            trusted=trusted,
            allow_unsafe=allow_unsafe,
            actor=by.actor,
        )
        return self._published(model_id)

    def import_from_mlflow(
        self,
        uri: str,
        name: str,
        version: str,
        *,
        tracking_uri: str | None = None,
        trusted: Sequence[str] = (),
        allow_unsafe: bool = False,
        by: By,
    ) -> ModelVersion:
        """Register a model of MLflow; see `watchkeeper.registry.mlflow.import_model`.

        Parameters
        ----------
        uri, name, version : str
        tracking_uri : str, optional
            By default that of the environment.
        trusted : sequence of str
            Names of types beyond the default ones that loading may make.
        allow_unsafe : bool
        by : By

        Returns
        -------
        ModelVersion

        Raises
        ------
        MissingExtraError
            Without MLflow.
        """
        from watchkeeper.registry.mlflow import import_model

        model_id = import_model(
            self.registry, uri, name, version, tracking_uri=tracking_uri, trusted=trusted,
            allow_unsafe=allow_unsafe, actor=by.actor,
        )  # fmt: skip
        return self._published(model_id)

    def export_to_mlflow(
        self, model_id: str | ModelId, *, tracking_uri: str | None = None, by: By
    ) -> str:
        """Register a version in MLflow and return its address there.

        Parameters
        ----------
        model_id : str or ModelId
        tracking_uri : str, optional
            By default that of the environment.
        by : By

        Returns
        -------
        str

        Raises
        ------
        MissingExtraError
            Without MLflow.
        """
        from watchkeeper.registry.mlflow import export_model

        return export_model(self.registry, str(model_id), tracking_uri=tracking_uri, actor=by.actor)

    def promote(self, model_id: str | ModelId, *, by: By) -> ModelVersion:
        """Put a version in production; that model's former one goes to staging.

        Parameters
        ----------
        model_id : str or ModelId
        by : By

        Returns
        -------
        ModelVersion
            As it is now.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If the model has to be ready first, and is not.
        IntegrityError
            If the files are not those that were registered.
        """
        version = self.get(model_id)
        self._checklists.require_ready(version.model_name)
        self.registry.promote_to_production(
            version.model_id, reason=by.reason, actor=by.actor, cause=by.cause
        )
        return self._published(version.model_id)

    def put_back(self, model_id: str | ModelId, *, by: By) -> ModelVersion:
        """Put a version in production again; as in a rollback, the checklist is not asked.

        Parameters
        ----------
        model_id : str or ModelId
        by : By

        Returns
        -------
        ModelVersion
            As it is now.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If it never was in production.
        IntegrityError
            If the files are not those that were registered.
        """
        version = self.get(model_id)
        if version.promoted_at is None:
            raise ConflictError(f"{version.model_id} never was in production", "Promote it.")
        self.registry.promote_to_production(
            version.model_id, reason=by.reason, actor=by.actor, cause=by.cause
        )
        return self._published(version.model_id)

    def roll_back(self, model: str, *, by: By) -> ModelVersion:
        """Put the version in production that was there before, at once.

        A rollout that is under way is not waited for: as beside a promotion, it gets no traffic
        from then on, and the controller ends it.

        Parameters
        ----------
        model : str
        by : By

        Returns
        -------
        ModelVersion
            The one that is in production now.

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        IntegrityError
            If the files of the earlier version are not those that were registered.
        """
        return self._published(
            self.registry.rollback(model, reason=by.reason, actor=by.actor, cause=by.cause)
        )

    def rehearse_rollback(self, model: str, *, by: By) -> ModelVersion:
        """Check that a rollback would succeed, and keep that as evidence of readiness.

        Parameters
        ----------
        model : str
        by : By

        Returns
        -------
        ModelVersion
            The version that a rollback would put in production.

        Raises
        ------
        NotFoundError, IntegrityError
            Where `roll_back` would.
        """
        earlier = self.registry.get(self.registry.check_rollback(model))
        current = self.registry.get_production_model(model)
        self._audit.note(
            at=self._clock(), action=REHEARSAL, subject=rehearsal_of(model),
            by=by.with_reason(f"{earlier.model_id} can take the place of {current}"),
            evidence={"passed": True, "version": str(current).partition(":")[2]},
        )  # fmt: skip
        return earlier

    def keep_load_test(self, model: str, *, evidence: Mapping[str, Any], by: By) -> Entry:
        """Keep the result of a load test as evidence of readiness.

        Parameters
        ----------
        model : str
        evidence : mapping of str to Any
            With ``passed`` and ``version``.
        by : By
            With the result in words as the reason.

        Returns
        -------
        Entry
        """
        return self._audit.note(
            at=self._clock(), by=by, action=LOAD_TEST, subject=load_test_of(model),
            evidence=evidence,
        )  # fmt: skip

    def archive(self, model_id: str | ModelId, *, by: By) -> ModelVersion:
        """Put a version aside; one that serves, or may have to, is refused.

        Parameters
        ----------
        model_id : str or ModelId
        by : By

        Returns
        -------
        ModelVersion
            As it is now.

        Raises
        ------
        NotFoundError
            If there is no such version.
        ConflictError
            If it is in production or what a rollback returns to, a side of a rollout that is under
            way, a shadow, or an arm of an experiment that is not over.
        """
        version = self.get(model_id)
        self.registry.archive(
            version.model_id, check=self._require_unused,
            reason=by.reason, actor=by.actor, cause=by.cause,
        )  # fmt: skip
        return self._published(version.model_id)

    def delete(self, model_id: str | ModelId, *, by: By) -> ModelVersion:
        """Remove a version and its files for good; one that serves, or may have to, is refused.

        Parameters
        ----------
        model_id : str or ModelId
        by : By

        Returns
        -------
        ModelVersion
            As it was.

        Raises
        ------
        NotFoundError, ConflictError
            Where `archive` would.
        """
        version = self.get(model_id)
        self.registry.delete(
            version.model_id, check=self._require_unused,
            reason=by.reason, actor=by.actor, cause=by.cause,
        )  # fmt: skip
        self._changes.publish(Change("version", version.model_name))
        return version

    def set_alias(self, model_id: str | ModelId, alias: str, *, by: By) -> ModelVersion:
        """Let a name of the model point to a version.

        Parameters
        ----------
        model_id : str or ModelId
        alias : str
        by : By

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidValueError
            If the name is not allowed; see `ModelRegistry.set_alias`.
        """
        version = self.get(model_id)
        self.registry.set_alias(
            version.model_id, alias, reason=by.reason, actor=by.actor, cause=by.cause
        )
        return self._published(version.model_id)

    def remove_alias(self, model: str, alias: str, *, by: By) -> None:
        """Let a name of a model point to no version any more.

        Parameters
        ----------
        model, alias : str
        by : By

        Raises
        ------
        NotFoundError
            If there is no such name.
        """
        self.registry.remove_alias(model, alias, reason=by.reason, actor=by.actor, cause=by.cause)
        self._changes.publish(Change("version", model))

    def _published(self, model_id: str) -> ModelVersion:
        version = self.registry.get(model_id)
        self._changes.publish(Change("version", version.model_name))
        return version

    def _require_unused(self, version: ModelVersion) -> None:
        """Refuse a version that a rollout, a shadow or an experiment needs."""
        model = version.model_name
        for rollout in self._rollouts.find(model):
            if rollout.active and version.version in {rollout.version, rollout.stable}:
                raise ConflictError(
                    f"the rollout {rollout.name} of {model} is under way",
                    "Both of its versions are needed. Abort it first, or wait for its end.",
                )
        for shadow in self._shadows.find(model, ShadowState.RUNNING):
            if shadow.version == version.version:
                raise ConflictError(
                    f"{version.model_id} gets mirrored traffic as the shadow {shadow.name}",
                    "Stop it first.",
                )
        for experiment in self._experiments.find(model):
            arms = {arm.model_version for arm in experiment.allocation.arms}
            if experiment.state is not ExperimentState.STOPPED and version.version in arms:
                raise ConflictError(
                    f"{version.model_id} is a variant of the experiment {experiment.name}",
                    "Stop it first.",
                )


def named(model: str, version: str) -> str:
    """Return the id of what names a version of a model: ``1.0.0``, ``@ALIAS``, or in full.

    Parameters
    ----------
    model : str
    version : str
        ``1.0.0``, ``@ALIAS``, or in full.

    Returns
    -------
    str

    Examples
    --------
    >>> named("late", "1.0.0"), named("late", "@champion"), named("late", "early:2")
    ('late:1.0.0', 'late@champion', 'early:2')
    """
    if version.startswith("@"):
        return f"{model}{version}"
    return version if ":" in version or "@" in version else f"{model}:{version}"


def _model_in(file: Path, kind: Format, trusted: Sequence[str], allow_unsafe: bool) -> Any:
    """Return the model in a file as `ModelRegistry.register_model` takes it."""
    if kind == "mlflow":
        return file if file.is_dir() else file.parent
    data = file.read_bytes()
    if kind == "remote":
        return Remote.from_json(data)
    if kind == "onnx":
        return data
    try:
        return load(data, kind, trusted=trusted, unsafe=allow_unsafe)
    except (ValueError, ImportError):
        raise
    except Exception as error:
        raise InvalidValueError("file", str(file), f"a model in {kind} ({error})") from error
