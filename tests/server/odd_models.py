"""Models that misbehave; pickled, so they live in a module that can be imported."""

import os
import threading
from typing import Any

import numpy as np

RELEASE = threading.Event()


class Raises:
    def predict(self, rows: Any) -> Any:
        raise RuntimeError("the weights are gone")


class Panic(BaseException):
    """What extensions in Rust raise when they panic."""


class Ends:
    """Answers rows of zeros; raises on others what is no `Exception`."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def predict(self, rows: Any) -> Any:
        if np.asarray(rows, dtype=float).any():
            raise self.error("out of bounds")
        return np.zeros(len(rows))


class Mistyped:
    def predict(self, rows: Any) -> Any:
        return len(rows) + "rows"  # type: ignore[operator]


class Refuses:
    """Takes no negative numbers."""

    def predict(self, rows: Any) -> Any:
        if (np.asarray(rows, dtype=float) < 0).any():
            raise ValueError("negative values")
        return np.asarray(rows, dtype=float)[:, 0]


class WrongShape:
    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows) + 1)


class Imaginary:
    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), 1j)


class NotANumber:
    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), np.nan)


class Sees:
    """Answers what the first column holds: 0 for a missing value, 1 or -1 for an infinite one."""

    def predict(self, rows: Any) -> Any:
        first = np.asarray(rows, dtype=float)[:, 0]
        return np.where(np.isinf(first), np.sign(first), np.where(np.isnan(first), 0, 7))


class NeedsSetting:
    """Can only be loaded where PRICE_LIST is set; a setting "exit" ends the process."""

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))

    def __setstate__(self, state: dict[str, Any]) -> None:
        if os.environ["PRICE_LIST"] == "exit":
            raise SystemExit(3)
        self.__dict__.update(state)

    def __getstate__(self) -> dict[str, Any]:
        return {"loaded": True}


class Hangs:
    """Answers rows of zeros; hangs on others until it is released."""

    def predict(self, rows: Any) -> Any:
        if np.asarray(rows, dtype=float).any():
            RELEASE.wait(60)
        return np.zeros(len(rows))


def ranks(rows: Any) -> Any:
    """Rank the rows of a request among themselves, once it is released."""
    RELEASE.wait(60)
    return np.argsort(np.argsort(-np.asarray(rows, dtype=float)[:, 0])) + 1.0
