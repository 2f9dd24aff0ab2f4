"""Claim: a version is registered, promoted and loaded at least 5 times as fast as by MLflow.

Side by side, on SQLite, a small logistic regression is registered, put in production and loaded
again: here with a digest of every file and everything synced to disk; in MLflow with the
dependencies given, which spares it their search, and as it does it by itself. Then 10,000 versions
are listed.

    python benchmarks/registry.py [--repeats 20] [--defaults 2]
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression

from figures import Figures
from watchkeeper.registry import ModelRegistry
from watchkeeper.store.database import ControlDatabase, model_versions

ROWS = np.random.default_rng(7).normal(size=(200, 8))
MODEL = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
VERSIONS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--defaults", type=int, default=2)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder,
        Figures(__file__) as figures,
    ):
        os.chdir(folder)
        with ModelRegistry(Path(folder) / "registry") as registry:
            ours = measured(lambda number: own_way(registry, number), given.repeats)
            figures.add("watchkeeper", ours * 1e3, "ms")
            named = measured(mlflow_way(Path(folder), ["scikit-learn"]), given.repeats)
            figures.add("MLflow, dependencies given", named * 1e3, "ms")
            figures.add("MLflow, dependencies given / watchkeeper", named / ours, "times")
            default = measured(mlflow_way(Path(folder), None), given.defaults)
            figures.add("MLflow, by itself", default * 1e3, "ms")
            figures.add("MLflow, by itself / watchkeeper", default / ours, "times")
            listing(figures, registry)


def measured(once: Callable[[int], None], repeats: int) -> float:
    """Return the median seconds of `repeats` runs, after one that does not count."""
    once(0)
    took = []
    for number in range(1, repeats + 1):
        begin = time.perf_counter()
        once(number)
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def own_way(registry: ModelRegistry, number: int) -> None:
    model_id = registry.register_model(MODEL, "risk", f"1.0.{number}", {"accuracy": 0.9})
    registry.promote_to_production(model_id)
    registry.load_model(model_id).predict(ROWS[:1])


def mlflow_way(folder: Path, requirements: list[str] | None) -> Callable[[int], None]:
    """Return how MLflow does it; it searches for dependencies where none are given."""
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.sklearn

    for name in ("mlflow", "mlflow.tracking._model_registry.client", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()

    def once(_: int) -> None:
        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
            info = mlflow.sklearn.log_model(
                MODEL,
                name="model",
                registered_model_name="risk",
                pip_requirements=requirements,
            )
        client.set_registered_model_alias("risk", "champion", str(info.registered_model_version))
        mlflow.sklearn.load_model("models:/risk@champion").predict(ROWS[:1])

    return once


def listing(figures: Figures, registry: ModelRegistry) -> None:
    database = ControlDatabase(registry.control_url)
    with database.write() as connection:
        row = dict(connection.execute(sa.select(model_versions).limit(1)).mappings().one())
        del row["id"]
        row["status"] = "registered"
        more = [
            {**row, "version": f"2.0.{n}", "model_id": f"risk:2.0.{n}"} for n in range(VERSIONS)
        ]
        connection.execute(model_versions.insert(), more)
    database.close()
    took = []
    for _ in range(9):
        begin = time.perf_counter()
        count = len(registry.list_models())
        took.append(time.perf_counter() - begin)
    spread = f"(from {min(took) * 1e3:.0f} to {max(took) * 1e3:.0f})"
    figures.add(f"{count:,} versions listed", statistics.median(took) * 1e3, f"ms {spread}")


if __name__ == "__main__":
    main()
