"""What services share: reads through a repository, and the rule that some changes need a reason."""

from typing import Any, Generic, TypeVar

from watchkeeper.errors import InvalidValueError
from watchkeeper.identity import By

__all__ = ["Service", "require_reason"]

Documents = TypeVar("Documents", bound=Any)


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
