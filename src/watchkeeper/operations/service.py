"""What services share: reads through a repository, and the rule that some changes need a reason."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Generic, TypeVar

from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By
from watchkeeper.records import DocumentEntry

__all__ = ["DocumentService", "Service", "name_for", "require_reason"]

Documents = TypeVar("Documents", bound=Any)
T = TypeVar("T")


class Service(Generic[Documents]):
    """A noun with its changes; it reads through the repository that it was built with.

    Parameters
    ----------
    repository : Documents
        Where the documents of the noun are stored.

    Attributes
    ----------
    repository : Documents
    """

    def __init__(self, repository: Documents) -> None:
        self.repository = repository


class DocumentService(Service[Documents], Generic[Documents, T]):
    """A noun whose documents have names, and a history each."""

    def get(self, name: str) -> T:
        """Return one.

        Parameters
        ----------
        name : str

        Returns
        -------
        T

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        document: T = self.repository.get(name)
        return document

    def find(self, model: str | None = None, state: str | None = None) -> list[T]:
        """Return those of a model, in a state, or all; the newest first.

        Parameters
        ----------
        model, state : str, optional

        Returns
        -------
        list of T
        """
        documents: list[T] = self.repository.find(model, state)
        return documents

    def history(self, name: str) -> list[DocumentEntry]:
        """Return the audit entries of one, the oldest first.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of DocumentEntry
        """
        entries: list[DocumentEntry] = self.repository.history(name)
        return entries


def require_reason(by: By, example: str) -> None:
    """Refuse a change that needs a reason and has none.

    Parameters
    ----------
    by : By
    example : str
        What the reason is expected to say.

    Raises
    ------
    InvalidValueError
        If the reason is empty.
    """
    if not by.reason.strip():
        raise InvalidValueError("reason", by.reason, example)


def name_for(model: str, at: datetime, taken: Collection[str]) -> str:
    """Return the name of a new document of a model: when it began, and a number if that is taken.

    Parameters
    ----------
    model : str
    at : datetime
    taken : collection of str
        Names of the documents that the model has.

    Returns
    -------
    str
    """
    stem = f"{model[:70]}-{at:%Y%m%d-%H%M%S}"
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)
