"""Trainers that go wrong in every way, and one that does not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression


def good(data: Any) -> Any:
    print(f"learning from {len(data)} rows of {data.features}")
    return LogisticRegression().fit(data.X, data.y)


class WithFit:
    def fit(self, data: Any) -> Any:
        return good(data)


def worse(data: Any) -> Any:
    return DummyClassifier(strategy="constant", constant=1).fit(data.X, data.y)


def hangs(_: Any) -> Any:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path("child.pid").write_text(str(child.pid))
    print("it hangs", flush=True)
    time.sleep(600)


def is_killed(_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(_: Any) -> Any:
    print("that is it", flush=True)
    os._exit(7)


def eats_memory(_: Any) -> Any:
    held = []
    while True:
        held.append(np.ones(2**22))


def raises(_: Any) -> Any:
    raise RuntimeError("no such luck")


def garbage(_: Any) -> Any:
    return {"accuracy": 0.99}


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A class that skops does not trust."""

    def fit(self, x: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x), dtype=int)


def untrusted(data: Any) -> Any:
    return Own().fit(data.X, data.y)


def unfitted(_: Any) -> Any:
    return LogisticRegression()


def two_answers(data: Any) -> Any:
    return LogisticRegression().fit(data.X[:, :1], data.y)
