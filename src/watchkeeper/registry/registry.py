"""`ModelRegistry`: register, promote, load and take back model versions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import ConflictError, InvalidValueError
from watchkeeper.events import check_name
from watchkeeper.identity import By, RecordId
from watchkeeper.registry import formats
from watchkeeper.registry.artifacts import Artifacts, about_bytes
from watchkeeper.registry.catalogue import Versions
from watchkeeper.registry.formats import Format
from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.registration import (
    checked_metrics,
    described_version,
)
from watchkeeper.registry.repository import CHAMPION, Repository
from watchkeeper.registry.signature import Signature
from watchkeeper.registry.signing import SIGNATURE, sign
from watchkeeper.registry.versions import ModelVersion, Status

__all__ = ["ModelRegistry"]

_DATABASE = "control.db"


class ModelRegistry(Versions):
    """Immutable versions of models, and which of them is in production.

    Many processes may use one registry at once. Every change is kept in its audit trail.

    Parameters
    ----------
    registry_path : path
        Folder of the artifacts; made when it is not there.
    database_url : str, optional
        Of the control database; by default ``control.db`` in the folder.
    clock : callable
        Where the time is read.
    signing_key : Path, optional
        Private key that signs what is registered.
    public_key : Path, optional
        Public key: only what its owner signed is loaded, promoted and rolled back to.

    Attributes
    ----------
    path : Path
    control_url : str
        Of the control database.
    public_key : Path or None
    """

    def __init__(
        self,
        registry_path: str | Path = "./model_registry",
        *,
        database_url: str | None = None,
        clock: Clock = system_clock,
        signing_key: Path | None = None,
        public_key: Path | None = None,
    ) -> None:
        self.path = Path(registry_path)
        self.path.mkdir(parents=True, exist_ok=True)
        artifacts = Artifacts(self.path)
        self.control_url = database_url or f"sqlite:///{self.path / _DATABASE}"
        self._signing_key = signing_key
        super().__init__(Repository(self.control_url, artifacts.folder), artifacts, public_key)
        self._clock = clock

    def register_model(
        self,
        model: Any,
        model_name: str,
        version: str,
        metrics: Mapping[str, float],
        description: str = "",
        tags: Mapping[str, str] | None = None,
        *,
        training_data: object = None,
        signature: Signature | None = None,
        lineage: Lineage | None = None,
        card: str = "",
        format: Format | None = None,  # noqa: A002 - the word users know
        trusted: Sequence[str] = (),
        allow_unsafe: bool = False,
        actor: str = "",
    ) -> str:
        """Keep a version; it never changes afterwards.

        Parameters
        ----------
        model : estimator, bytes, onnx.ModelProto, Remote, Path or object
            A fitted scikit-learn estimator, an ONNX model, or where another server computes it.
            With `allow_unsafe`, a function of rows, any object with ``predict``, or the path of an
            MLflow model directory.
        model_name, version : str
            Each 1 to 100 of ``A-Z a-z 0-9 . _ -``.
        metrics : mapping of str to float
            What was measured on held-out data. ``accuracy`` and ``auc`` are the baseline of
            quality monitoring.
        description : str
        tags : mapping of str to str, optional
        training_data : data frame, dict of columns or 2-D array, optional
            What it learned from (columns that are not features are left out). The signature and
            the reference of drift checks are taken from it: a profile of all of it, and a sample.
        signature : Signature, optional
            What the model takes; otherwise from `training_data`, or from the model itself.
        lineage : Lineage, optional
            Where it comes from. Parameters and packages are what the estimator says of itself
            where they are not given.
        card : str
            Its purpose and its limits, in Markdown. `card` puts it before what the registry knows.
        format : {"skops", "onnx", "joblib", "cloudpickle", "mlflow", "remote"}, optional
        trusted : sequence of str
            Names of types beyond scikit-learn's own that loading this version may make.
        allow_unsafe : bool
            Consent to a format that can run code when it is loaded; recorded on the version.
        actor : str

        Returns
        -------
        str
            The model id, ``name:version``.

        Raises
        ------
        ConflictError
            If the model has this version already.
        UntrustedTypesError, UnsafeFormatError, InvalidValueError
            If the model cannot be kept as asked for.
        """
        if check_name(model_name, "model_name").startswith(_DATABASE):
            raise InvalidValueError("model_name", model_name, f"a name other than {_DATABASE}")
        check_name(version, "version")
        described, files = described_version(
            model,
            (model_name, version),
            {
                "metrics": checked_metrics(metrics),
                "description": description,
                "tags": {str(name): str(value) for name, value in (tags or {}).items()},
                "trusted": sorted(trusted),
            },
            kind=format or formats.natural_format(model),
            allow_unsafe=allow_unsafe,
            training_data=training_data,
            signature=signature,
            lineage=lineage or Lineage(),
            card=card,
        )
        self._keep(described, files, actor)
        return f"{model_name}:{version}"

    def _keep(self, described: Mapping[str, Any], files: Mapping[str, bytes], actor: str) -> None:
        """Write a version's files and its row; `files` has the model's first."""
        folder, digests = self._artifacts.prepare(files)
        if self._signing_key is not None:
            try:
                signature = sign(folder, self._signing_key)
            except BaseException:
                self._artifacts.discard(folder)
                raise
            digests[SIGNATURE] = about_bytes(signature)
        file_name = next(iter(files))
        try:
            self._repository.add(
                {
                    **described,
                    "status": Status.REGISTERED,
                    "files": digests,
                    "file_name": file_name,
                    "file_hash": digests[file_name]["sha256"],
                },
                lambda: self._artifacts.publish(
                    folder, described["model_name"], described["version"]
                ),
                at=self._clock(),
                by=By(actor),
                evidence={
                    "files": digests,
                    "unsafe": described["unsafe"],
                    "trusted": described["trusted"],
                },
            )
        finally:
            self._artifacts.discard(folder)

    def promote_to_production(
        self,
        model_id: str,
        *,
        instead_of: str | None = None,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> None:
        """Put a version in production; that model's former one goes to staging.

        A version whose files are not what was registered is refused with `IntegrityError`.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        instead_of : str, optional
            The id of the version that is expected in production; by default any, or none.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Raises
        ------
        ConflictError
            If another version than the expected one is in production.
        """
        self.verify(model_id)
        self._repository.promote(
            model_id, instead_of, at=self._clock(), by=By(actor, reason, cause)
        )

    def rollback(
        self,
        model_name: str,
        *,
        to: str | None = None,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> str:
        """Roll back to what was in production before, at once; return its model id.

        Promotions form a stack: rolling back twice goes back two.

        Parameters
        ----------
        model_name : str
        to : str, optional
            The id of the version that is expected to come back; by default any.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Returns
        -------
        str

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        ConflictError
            If another version than the expected one would come back.
        IntegrityError
            If the earlier version's files are not what was registered; nothing has changed then.
        """

        def check(version: ModelVersion) -> None:
            if to is not None and version.model_id != to:
                raise ConflictError(
                    f"a rollback of {model_name} returns to {version.model_id}, and not to {to}",
                    "Read again what is in production.",
                )
            self._verify(version)

        return self._repository.roll_back(
            model_name, check, at=self._clock(), by=By(actor, reason, cause)
        ).model_id

    def archive(
        self,
        model_id: str,
        *,
        check: Callable[[ModelVersion], None] | None = None,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> None:
        """Put a version aside.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        check : callable, optional
            Called with the version when no other process can write; what it raises keeps all as it
            is.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Raises
        ------
        ConflictError
            If it is in production, or what a rollback would return to.
        """
        self._repository.archive(
            model_id, check or _allow, at=self._clock(), by=By(actor, reason, cause)
        )

    def delete(
        self,
        model_id: str,
        *,
        check: Callable[[ModelVersion], None] | None = None,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> None:
        """Remove a version and its files for good; the audit trail keeps what it was.

        Its name is never given to another one. What a rollback would return to is refused like
        what is in production; later rollbacks pass over it.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        check : callable, optional
            Called with the version when no other process can write; what it raises keeps all as it
            is.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Raises
        ------
        ConflictError
            If it is in production, or what a rollback would return to.
        """
        version = self._repository.delete(
            model_id, check or _allow, at=self._clock(), by=By(actor, reason, cause)
        )
        self._artifacts.discard(self._artifacts.folder(version.model_name, version.version))

    def set_alias(
        self,
        model_id: str,
        alias: str,
        *,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> None:
        """Let a name of the model point to a version; it may have pointed to another one.

        A version is then also found as ``NAME@ALIAS``. ``champion`` points to what is in
        production by itself.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        alias : str
            1 to 100 of ``A-Z a-z 0-9 . _ -``.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Raises
        ------
        InvalidValueError
            If the name is not 1 to 100 of ``A-Z a-z 0-9 . _ -``, or is ``champion``.
        """
        version = self.get(model_id)
        self._point(version.model_name, alias, version.model_id, By(actor, reason, cause))

    def remove_alias(
        self,
        model_name: str,
        alias: str,
        *,
        reason: str = "",
        actor: str = "",
        cause: RecordId | None = None,
    ) -> None:
        """Let a name of the model point to no version any more.

        ``champion`` cannot be removed.

        Parameters
        ----------
        model_name : str
        alias : str
            1 to 100 of ``A-Z a-z 0-9 . _ -``.
        reason, actor : str
            For the audit trail.
        cause : RecordId, optional
            The record that led to it.

        Raises
        ------
        NotFoundError
            If it points to none.
        InvalidValueError
            If it is ``champion``, which follows what is in production.
        """
        self.get(f"{model_name}@{alias}")
        self._point(model_name, alias, None, By(actor, reason, cause))

    def _point(self, model_name: str, alias: str, model_id: str | None, by: By) -> None:
        if check_name(alias, "alias") == CHAMPION:
            raise InvalidValueError("alias", alias, "another: it follows what is in production")
        self._repository.point(model_name, alias, model_id, at=self._clock(), by=by)

    def note(self, model_id: str, action: str, reason: str, *, actor: str = "") -> None:
        """Add what was done with a version to its audit trail.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        action : str
            What was done.
        reason, actor : str
            For the audit trail.
        """
        version = self.get(model_id)
        self._repository.trail.note(
            version.model_id, action, at=self._clock(), by=By(actor, reason)
        )

    def close(self) -> None:
        """Close the control database."""
        self._repository.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _allow(version: ModelVersion) -> None:
    """Refuse no version."""
