"""`ModelRegistry`: register, promote, load and take back model versions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from watchkeeper.clock import Clock, system_clock
from watchkeeper.errors import IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.events import check_name
from watchkeeper.identity import By, RecordId
from watchkeeper.registry import formats
from watchkeeper.registry.artifacts import Artifacts, about_bytes
from watchkeeper.registry.card import card_of
from watchkeeper.registry.diff import Difference, differences
from watchkeeper.registry.formats import Format
from watchkeeper.registry.lineage import Lineage
from watchkeeper.registry.repository import CHAMPION, Repository
from watchkeeper.registry.signature import Signature, of_estimator, of_training_data
from watchkeeper.registry.signing import SIGNATURE, check_signature, sign
from watchkeeper.registry.versions import ModelVersion, Status
from watchkeeper.results import plain

if TYPE_CHECKING:
    import pyarrow as pa

    from watchkeeper.profiles import Profile
    from watchkeeper.registry.runtime import Runtime

__all__ = ["ModelRegistry"]

_DATABASE = "control.db"
_MANIFEST = "manifest.json"
_REFERENCE = "reference.parquet"
_PROFILE = "profile.bin"
_CARD = "card.md"
_SIGNED = ("model_id", "format", "unsafe", "trusted", "signature")
"""What decides how a version is loaded and asked; the signed manifest has it too."""
_NOTED = ("files", "unsafe", "trusted")
"""What the audit trail keeps of a registration."""


class ModelRegistry:
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
        self._artifacts = Artifacts(self.path)
        self.control_url = database_url or f"sqlite:///{self.path / _DATABASE}"
        self._signing_key, self.public_key = signing_key, public_key
        self._repository = Repository(self.control_url, self._artifacts.folder)
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
        training_data : data frame, dict of columns or 2-D array, optional
            What it learned from (columns that are not features are left out). The signature and
            the reference of drift checks are taken from it: a profile of all of it, and a sample.
        signature : Signature, optional
            What the model takes; otherwise from `training_data`, or from the model itself.
        lineage : Lineage, optional
            Where it comes from. Parameters and packages are what the estimator says of itself
            where they are not given.
        card : str
            What people should know of it, in Markdown: what it is for, and what not. `card` puts
            it before what the registry knows.
        format : {"skops", "onnx", "joblib", "cloudpickle", "mlflow", "remote"}, optional
        trusted : sequence of str
            Names of types beyond scikit-learn's own that loading this version may make.
        allow_unsafe : bool
            Consent to a format that can run code when it is loaded; recorded on the version.

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
        kind = format or formats.natural_format(model)
        files = _files_of(model, kind, trusted, allow_unsafe)
        described: dict[str, Any] = {
            "model_id": f"{model_name}:{version}",
            "model_name": model_name,
            "version": version,
            "format": kind,
            "unsafe": kind in formats.UNSAFE,
            "trusted": sorted(trusted),
            "metrics": _checked_metrics(metrics),
            "description": description,
            "tags": {str(name): str(value) for name, value in (tags or {}).items()},
            "about": formats.about_model(model, kind),
            "lineage": _lineage_of(model, lineage or Lineage()),
        }
        if training_data is not None:
            from watchkeeper.profiles import Profile
            from watchkeeper.registry import reference

            frame = reference.as_frame(training_data)
            frame = frame.select(_feature_names(model, kind, frame.columns))
            files[_REFERENCE], described["about"]["training_data"] = reference.sample(frame)
            files[_PROFILE] = Profile.of(frame.to_native()).to_bytes()
            signature = signature or of_training_data(frame)
        elif signature is None:
            signature = _signature_of(model, kind, next(iter(files.values())))
        if card:
            files[_CARD] = card.encode()
        described["signature"] = None if signature is None else signature.to_dict()
        files[_MANIFEST] = json.dumps(described, indent=2, sort_keys=True).encode()
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

    def load_model(self, model_id: str) -> Any:
        """Return the model of a version, after its digest has been checked.

        Raises
        ------
        NotFoundError
            If there is no such version.
        IntegrityError
            If its file is not what was registered; nothing was deserialised then.
        """
        version = self.get(model_id)
        folder = self._folder(version)
        if self.public_key is not None or version.format == "mlflow":
            self._verify(version)
        if version.format == "mlflow":
            return formats.load_directory(Path(version.file_path).parent, unsafe=version.unsafe)
        name = Path(version.file_path).relative_to(folder).as_posix()
        data = self._artifacts.read(folder, name, version.files[name])
        return formats.load(
            data,
            version.format,  # type: ignore[arg-type]
            trusted=version.trusted,
            unsafe=version.unsafe,
        )

    def open_runtime(self, model_id: str) -> "Runtime":
        """Return a version ready to predict; raises as `load_model`."""
        from watchkeeper.registry.runtime import Runtime

        return Runtime(self.get(model_id), self.load_model(model_id))

    def reference(self, model_id: str) -> "pa.Table | None":
        """Return the kept sample of the training data; None if none was given.

        Raises
        ------
        IntegrityError
            If the file is not what was registered.
        """
        from watchkeeper.registry import reference

        data = self._checked_file(model_id, _REFERENCE)
        return None if data is None else reference.read_sample(data)

    def profile(self, model_id: str) -> "Profile | None":
        """Return the profile of all of the training data; None if none was given.

        Raises
        ------
        IntegrityError
            If the file is not what was registered.
        """
        from watchkeeper.profiles import Profile

        data = self._checked_file(model_id, _PROFILE)
        return None if data is None else Profile.from_bytes(data)

    def _checked_file(self, model_id: str, name: str) -> bytes | None:
        """Return a file of a version, checked; None if it has no such file."""
        version = self.get(model_id)
        if name not in version.files:
            return None
        return self._artifacts.read(self._folder(version), name, version.files[name])

    def promote_to_production(
        self, model_id: str, *, reason: str = "", actor: str = "", cause: RecordId | None = None
    ) -> None:
        """Put a version in production; that model's former one goes to staging.

        A version whose files are not what was registered is refused with `IntegrityError`.
        """
        self.verify(model_id)
        self._repository.promote(model_id, at=self._clock(), by=By(actor, reason, cause))

    def rollback(
        self, model_name: str, *, reason: str = "", actor: str = "", cause: RecordId | None = None
    ) -> str:
        """Put back what was in production before, at once; return its model id.

        Promotions form a stack: rolling back twice goes back two.

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        IntegrityError
            If the earlier version's files are not what was registered; nothing has changed then.
        """
        return self._repository.roll_back(
            model_name, self._verify, at=self._clock(), by=By(actor, reason, cause)
        ).model_id

    def check_rollback(self, model_name: str) -> str:
        """Return the model id that `rollback` would put back, and change nothing.

        Raises
        ------
        NotFoundError, IntegrityError
            Where `rollback` would.
        """
        earlier = self.earlier(model_name)
        self._verify(earlier)
        return earlier.model_id

    def earlier(self, model_name: str) -> ModelVersion:
        """Return the version that `rollback` would put back, without a look at its files.

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        """
        return self._repository.earlier(model_name)

    def archive(
        self, model_id: str, *, reason: str = "", actor: str = "", cause: RecordId | None = None
    ) -> None:
        """Put a version aside.

        Raises
        ------
        ConflictError
            If it is in production, or what a rollback would return to.
        """
        self._repository.archive(model_id, at=self._clock(), by=By(actor, reason, cause))

    def delete(
        self, model_id: str, *, reason: str = "", actor: str = "", cause: RecordId | None = None
    ) -> None:
        """Remove a version and its files for good; the audit trail keeps what it was.

        Its name is never given to another one. What a rollback would return to is refused like
        what is in production; later rollbacks pass over it.

        Raises
        ------
        ConflictError
            If it is in production, or what a rollback would return to.
        """
        version = self._repository.delete(model_id, at=self._clock(), by=By(actor, reason, cause))
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
        """Let a name of a model point to no version any more; raises `NotFoundError` if it did not.

        ``champion`` cannot be removed.
        """
        self.get(f"{model_name}@{alias}")
        self._point(model_name, alias, None, By(actor, reason, cause))

    def _point(self, model_name: str, alias: str, model_id: str | None, by: By) -> None:
        if check_name(alias, "alias") == CHAMPION:
            raise InvalidValueError("alias", alias, "another: it follows what is in production")
        self._repository.point(model_name, alias, model_id, at=self._clock(), by=by)

    def diff(self, model_id: str, other: str) -> tuple[Difference, ...]:
        """Return in what two versions differ: metrics, inputs, lineage, parameters, format, size.

        See Also
        --------
        watchkeeper.registry.diff.differences : on what is compared
        """
        return differences(self.get(model_id), self.get(other))

    def card(self, model_id: str) -> str:
        """Return the model card of a version, in Markdown.

        It begins with what was written for people at its registration.

        Raises
        ------
        IntegrityError
            If that is not what was registered.
        """
        version = self.get(model_id)
        done = self.history(version.model_name, version.version)
        return card_of(version, self.words(version.model_id), done)

    def words(self, model_id: str) -> str:
        """Return what people wrote for the card of a version, in Markdown; empty if nothing.

        Raises
        ------
        IntegrityError
            If that is not what was registered.
        """
        words = self._checked_file(model_id, _CARD)
        return "" if words is None else words.decode()

    def get(self, model_id: str) -> ModelVersion:
        """Return a version by its id or as ``NAME@ALIAS``; raises `NotFoundError` if it is not."""
        return self._repository.get(model_id)

    def find(self, model_name: str, version: str) -> ModelVersion | None:
        """Return a model's version, or None if it has none of that name."""
        versions = self._repository.find(None, model_name, version)
        return versions[0] if versions else None

    def usable(self, model_name: str, version: str) -> ModelVersion:
        """Return a version that may answer.

        Raises
        ------
        NotFoundError
            If there is no such version, or it is archived.
        """
        candidate = self.find(model_name, version)
        if candidate is None or candidate.status is Status.ARCHIVED:
            versions = ", ".join(
                candidate.version for candidate in self.list_models(model_name=model_name)
            )
            raise NotFoundError(
                "model version", f"{model_name}:{version}", f"It has {versions or 'no versions'}."
            )
        return candidate

    def get_production_model(self, model_name: str | None = None) -> str | None:
        """Return the id of the version in production, or None.

        Without a name, that of the only model that has one.

        Raises
        ------
        InvalidValueError
            If no name is given and several models have a version in production.
        """
        production = self.production()
        if model_name is not None:
            return production.get(model_name)
        if len(production) > 1:
            raise InvalidValueError("model_name", None, f"one of {', '.join(sorted(production))}")
        return next(iter(production.values()), None)

    def production(self) -> dict[str, str]:
        """Return the model ids in production, by model name."""
        return self._repository.production()

    def list_models(
        self,
        status: Status | str | None = None,
        model_name: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ModelVersion]:
        """Return versions, the newest first: all, or `limit` of them after the first `offset`."""
        return self._repository.find(
            _checked_status(status), model_name, limit=limit, offset=offset
        )

    def count_models(
        self, status: Status | str | None = None, model_name: str | None = None
    ) -> int:
        """Return how many versions `list_models` would return without a limit."""
        return self._repository.count(_checked_status(status), model_name)

    def taken_versions(self, model_name: str) -> set[str]:
        """Return the versions that a model has or had: no new one may be called like them."""
        return self._repository.taken(model_name)

    def history(self, model_name: str, version: str | None = None) -> list[dict[str, Any]]:
        """Return the audit trail of a model.

        Each entry has ``at``, ``actor``, ``action``, ``subject``, ``reason``, ``cause`` and
        ``evidence``.

        With `version`, only what was done with that one.
        """
        return self._repository.history(model_name, version)

    def moves(self, model_name: str, *, limit: int = 10) -> list[dict[str, Any]]:
        """Return how versions came into production, the newest first, as `history` tells it."""
        return self._repository.moves(model_name, limit)

    def note(self, model_id: str, action: str, reason: str, *, actor: str = "") -> None:
        """Add what was done with a version to its audit trail."""
        version = self.get(model_id)
        self._repository.note(version.model_id, action, at=self._clock(), by=By(actor, reason))

    def generation(self) -> int:
        """Return a number that grows with every change, for those who watch for one."""
        return self._repository.generation()

    def verify(self, model_id: str) -> None:
        """Check that a version's files are those that were registered, and no others.

        They are compared with the version's digests, and these with what the audit trail has of its
        registration. Whoever rewrites all three is noticed by a signature only.

        Raises
        ------
        IntegrityError
            If anything was changed, removed or added.
        """
        self._verify(self.get(model_id))

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

    def _verify(self, version: ModelVersion) -> None:
        folder = self._folder(version)
        self._artifacts.verify(folder, version.files)
        if self.public_key is not None:
            self._check_signed(version, folder, self.public_key)
        self._check_noted(version)

    def _check_signed(self, version: ModelVersion, folder: Path, public_key: Path) -> None:
        check_signature(folder, public_key, version.model_id)
        signed = json.loads((folder / _MANIFEST).read_bytes())
        stored = version.to_dict()
        other = [name for name in _SIGNED if signed[name] != stored[name]]
        if other:
            raise IntegrityError(
                f"the control database says otherwise of {version.model_id} than what was signed: "
                f"{', '.join(other)}",
                "Somebody changed one of them. Restore it from a backup, or roll back.",
            )

    def _check_noted(self, version: ModelVersion) -> None:
        """Compare a version with what the audit trail has of its registration."""
        noted = self._repository.registered_with(version.model_id)
        if noted is None:
            raise IntegrityError(
                f"the audit trail has no registration of {version.model_id}",
                "Somebody removed it. Restore the control database from a backup.",
            )
        other = [name for name in _NOTED if noted.get(name) != plain(getattr(version, name))]
        if other:
            raise IntegrityError(
                f"the control database says otherwise of {version.model_id} than the audit trail "
                f"does of its registration: {', '.join(other)}",
                "Somebody changed one of them. Restore it from a backup, or roll back.",
            )

    def _folder(self, version: ModelVersion) -> Path:
        return self._artifacts.folder(version.model_name, version.version)


def _checked_status(status: Status | str | None) -> Status | None:
    if status is not None and status not in set(Status):
        raise InvalidValueError("status", status, f"one of {', '.join(Status)}")
    return None if status is None else Status(status)


def _lineage_of(model: Any, lineage: Lineage) -> dict[str, Any]:
    """Return the lineage that is kept: what was given, beside what the model says of itself."""
    detected = formats.lineage_of(model)
    return {
        **lineage.to_dict(),
        "parameters": plain(lineage.parameters) or detected["parameters"],
        "packages": {**detected["packages"], **lineage.packages},
    }


def _checked_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    checked: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            checked[str(name)] = float(value)
        except (TypeError, ValueError):
            raise InvalidValueError(f"metrics[{name!r}]", value, "a number") from None
        if checked[str(name)] - checked[str(name)] != 0.0:
            raise InvalidValueError(f"metrics[{name!r}]", value, "a finite number")
    return checked


def _files_of(
    model: Any, kind: Format, trusted: Sequence[str], allow_unsafe: bool
) -> dict[str, bytes]:
    """Return the files of a model, the first of which says what it is."""
    if kind == "mlflow":
        if not allow_unsafe:
            raise formats.UnsafeFormatError(kind)
        if not isinstance(model, Path):
            raise InvalidValueError("model", type(model).__name__, "a path, for the format mlflow")
        return formats.files_of_directory(model)
    data = formats.dump(model, kind, trusted=trusted, allow_unsafe=allow_unsafe)
    return {formats.file_of(kind): data}


def _signature_of(model: Any, kind: Format, data: bytes) -> Signature | None:
    """Return what the model itself says that it takes, if it says so."""
    if kind == "onnx":
        from watchkeeper.registry.runtime import onnx_signature

        return onnx_signature(formats.load(data, kind, trusted=(), unsafe=False))
    return formats.signature_of_directory(model) if kind == "mlflow" else of_estimator(model)


def _feature_names(model: Any, kind: Format, columns: Sequence[str]) -> list[str]:
    """Return which columns of the training data are features of the model, in its order."""
    names = None if kind == "onnx" else getattr(model, "feature_names_in_", None)
    if names is not None:
        missing = [str(name) for name in names if name not in columns]
        if missing:
            raise InvalidValueError(
                "training_data", list(columns), f"also the model's features {', '.join(missing)}"
            )
        return [str(name) for name in names]
    count = None if kind == "onnx" else getattr(model, "n_features_in_", None)
    if count is not None and count != len(columns):
        raise InvalidValueError(
            "training_data", list(columns), f"the {count} features of the model and nothing else"
        )
    return list(columns)
