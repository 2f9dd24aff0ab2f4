"""What can be read of the versions of models, without any change."""

from typing import Any

from watchkeeper.errors import InvalidValueError, NotFoundError
from watchkeeper.registry.repository import Repository
from watchkeeper.registry.versions import ModelVersion, Status

__all__ = ["Versions"]


class Versions:
    """The versions of all models, as the control database has them.

    Parameters
    ----------
    repository : Repository
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

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

    def earlier(self, model_name: str) -> ModelVersion:
        """Return the version that `rollback` would put back, without a look at its files.

        Raises
        ------
        NotFoundError
            If there is no earlier version.
        """
        return self._repository.earlier(model_name)

    def generation(self) -> int:
        """Return a number that grows with every change, for those who watch for one."""
        return self._repository.generation()


def _checked_status(status: Status | str | None) -> Status | None:
    if status is not None and status not in set(Status):
        raise InvalidValueError("status", status, f"one of {', '.join(Status)}")
    return None if status is None else Status(status)
