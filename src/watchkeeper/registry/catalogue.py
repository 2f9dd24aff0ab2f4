"""What can be read of the versions of models, without any change."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import (
    InvalidValueError,
    NotFoundError,
    UnloadableError,
    WatchkeeperError,
)
from watchkeeper.registry import formats
from watchkeeper.registry.artifacts import Artifacts
from watchkeeper.registry.card import card_of
from watchkeeper.registry.diff import Difference, differences
from watchkeeper.registry.registration import CARD, PROFILE, REFERENCE
from watchkeeper.registry.repository import Repository
from watchkeeper.registry.verification import check_noted, check_signed
from watchkeeper.registry.versions import ModelVersion, Status

if TYPE_CHECKING:
    import pyarrow as pa

    from watchkeeper.profiles import Profile
    from watchkeeper.registry.runtime import Runtime

__all__ = ["Versions"]


class Versions:
    """The versions of all models: rows of the control database, and files of the folder.

    Parameters
    ----------
    repository : Repository
    artifacts : Artifacts
    public_key : Path or None
        Only what its owner signed is loaded.
    """

    def __init__(
        self, repository: Repository, artifacts: Artifacts, public_key: Path | None
    ) -> None:
        self._repository, self._artifacts, self.public_key = repository, artifacts, public_key

    def get(self, model_id: str) -> ModelVersion:
        """Return a version by its id or as ``NAME@ALIAS``.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        return self._repository.get(model_id)

    def find(self, model_name: str, version: str) -> ModelVersion | None:
        """Return a model's version, or None if it has none of that name.

        Parameters
        ----------
        model_name, version : str

        Returns
        -------
        ModelVersion or None
        """
        versions = self._repository.find(None, model_name, version)
        return versions[0] if versions else None

    def usable(self, model_name: str, version: str) -> ModelVersion:
        """Return a version that may answer.

        Parameters
        ----------
        model_name, version : str

        Returns
        -------
        ModelVersion

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

        Parameters
        ----------
        model_name : str, optional

        Returns
        -------
        str or None

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
        """Return the model ids in production, by model name.

        Returns
        -------
        dict of str to str
        """
        return self._repository.production()

    def list_models(
        self,
        status: Status | str | None = None,
        model_name: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ModelVersion]:
        """Return versions, the newest first: all, or `limit` of them after the first `offset`.

        Parameters
        ----------
        status : Status or str, optional
        model_name : str, optional
        limit : int, optional
            How many at most; all by default.
        offset : int
            How many to pass over first.

        Returns
        -------
        list of ModelVersion

        Raises
        ------
        InvalidValueError
            If there is no such status.
        """
        return self._repository.find(
            _checked_status(status), model_name, limit=limit, offset=offset
        )

    def count_models(
        self, status: Status | str | None = None, model_name: str | None = None
    ) -> int:
        """Return how many versions `list_models` would return without a limit.

        Parameters
        ----------
        status : Status or str, optional
        model_name : str, optional

        Returns
        -------
        int

        Raises
        ------
        InvalidValueError
            If there is no such status.
        """
        return self._repository.count(_checked_status(status), model_name)

    def taken_versions(self, model_name: str) -> set[str]:
        """Return the versions that a model has or had: no new one may be called like them.

        Parameters
        ----------
        model_name : str

        Returns
        -------
        set of str
        """
        return self._repository.trail.taken(model_name)

    def history(self, model_name: str, version: str | None = None) -> list[dict[str, Any]]:
        """Return the audit trail of a model.

        Each entry has ``at``, ``actor``, ``action``, ``subject``, ``reason``, ``cause`` and
        ``evidence``.

        With `version`, only what was done with that one.

        Parameters
        ----------
        model_name : str
        version : str, optional

        Returns
        -------
        list of dict of str to object
        """
        return self._repository.trail.history(model_name, version)

    def moves(self, model_name: str, *, limit: int = 10) -> list[dict[str, Any]]:
        """Return how versions came into production, the newest first, as `history` tells it.

        Parameters
        ----------
        model_name : str
        limit : int
            How many at most; all by default.

        Returns
        -------
        list of dict of str to object
        """
        return self._repository.trail.moves(model_name, limit)

    def earlier(self, model_name: str) -> ModelVersion:
        """Return the version that `rollback` would return to; its files are not checked.

        Parameters
        ----------
        model_name : str

        Returns
        -------
        ModelVersion

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        """
        return self._repository.earlier(model_name)

    def generation(self) -> int:
        """Return a number that grows with every change, so that a change can be noticed.

        Returns
        -------
        int
        """
        return self._repository.generation()

    def check_rollback(self, model_name: str) -> str:
        """Return the model id that `rollback` would return to, and change nothing.

        Parameters
        ----------
        model_name : str

        Returns
        -------
        str

        Raises
        ------
        NotFoundError, IntegrityError
            Where `rollback` would.
        """
        earlier = self.earlier(model_name)
        self._verify(earlier)
        return earlier.model_id

    def load_model(self, model_id: str) -> Any:
        """Return the model of a version, after its digest has been checked.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        object

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
        """Return a version ready to predict.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        Runtime

        Raises
        ------
        NotFoundError, IntegrityError
            As `load_model`.
        UnloadableError
            If loading runs code of the model, and that fails.
        """
        from watchkeeper.registry.runtime import Runtime

        version = self.get(model_id)
        try:
            return Runtime(version, self.load_model(model_id))
        except (WatchkeeperError, KeyboardInterrupt):
            raise
        except BaseException as error:  # the code of a model raises whatever it likes
            raise UnloadableError(version.model_id, error) from error

    def reference(self, model_id: str) -> "pa.Table | None":
        """Return the kept sample of the training data; None if none was given.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        pyarrow.Table or None

        Raises
        ------
        IntegrityError
            If the file is not what was registered.
        """
        from watchkeeper.registry import reference

        data = self._checked_file(model_id, REFERENCE)
        return None if data is None else reference.read_sample(data)

    def profile(self, model_id: str) -> "Profile | None":
        """Return the profile of all of the training data; None if none was given.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        Profile or None

        Raises
        ------
        IntegrityError
            If the file is not what was registered.
        """
        from watchkeeper.profiles import Profile

        data = self._checked_file(model_id, PROFILE)
        return None if data is None else Profile.from_bytes(data)

    def _checked_file(self, model_id: str, name: str) -> bytes | None:
        """Return a file of a version, checked; None if it has no such file."""
        version = self.get(model_id)
        if name not in version.files:
            return None
        return self._artifacts.read(self._folder(version), name, version.files[name])

    def diff(self, model_id: str, other: str) -> tuple[Difference, ...]:
        """Return in what two versions differ: metrics, inputs, lineage, parameters, format, size.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.
        other : str
            Id of the second version.

        Returns
        -------
        tuple of Difference

        See Also
        --------
        watchkeeper.registry.diff.differences : on what is compared
        """
        return differences(self.get(model_id), self.get(other))

    def card(self, model_id: str) -> str:
        """Return the model card of a version, in Markdown.

        It begins with the text of its registration.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        str

        Raises
        ------
        IntegrityError
            If that is not what was registered.
        """
        version = self.get(model_id)
        done = self.history(version.model_name, version.version)
        return card_of(version, self.words(version.model_id), done)

    def words(self, model_id: str) -> str:
        """Return the text for the card that a version was registered with, in Markdown; else empty.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Returns
        -------
        str

        Raises
        ------
        IntegrityError
            If that is not what was registered.
        """
        words = self._checked_file(model_id, CARD)
        return "" if words is None else words.decode()

    def verify(self, model_id: str) -> None:
        """Check that a version's files are those that were registered, and no others.

        They are compared with the version's digests, and these with what the audit trail has of its
        registration. A change of all three is found by a signature only.

        Parameters
        ----------
        model_id : str
            ``NAME:VERSION`` or ``NAME@ALIAS``.

        Raises
        ------
        IntegrityError
            If anything was changed, removed or added.
        """
        self._verify(self.get(model_id))

    def _verify(self, version: ModelVersion) -> None:
        folder = self._folder(version)
        self._artifacts.verify(folder, version.files)
        if self.public_key is not None:
            check_signed(version, folder, self.public_key)
        check_noted(version, self._repository.trail.registered_with(version.model_id))

    def _folder(self, version: ModelVersion) -> Path:
        return self._artifacts.folder(version.model_name, version.version)


def _checked_status(status: Status | str | None) -> Status | None:
    if status is not None and status not in set(Status):
        raise InvalidValueError("status", status, f"one of {', '.join(Status)}")
    return None if status is None else Status(status)
