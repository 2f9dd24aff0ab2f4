"""Claims: what running experiments and rollouts cost a request on the gateway.

- A rollout costs at most 10 µs a request, whichever version answers.

- Choosing who answers, and noting it on the call, takes at most 10 µs with one experiment that has
  targeting rules, a namespace, a holdout and an included share; each further one that does not
  answer adds at most 5 µs.

    python benchmarks/routing.py [--requests 50000]
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier

from figures import Figures
from watchkeeper.app import App
from watchkeeper.config import Settings
from watchkeeper.experiments import Allocation, Arm, Equals, Holdout, Namespace, Targeting
from watchkeeper.identity import By
from watchkeeper.rollouts import Event, Plan
from watchkeeper.serving.gateway import Gateway
from watchkeeper.serving.live_version import Call
from watchkeeper.serving.rows import Rows
from watchkeeper.testing import InMemoryExperiments

ARMS = (Arm("control", 5_000), Arm("candidate", 5_000, "2"))
CALL = Call(
    rows=Rows([{f"x{n}": float(n) for n in range(10)}], None, None),
    request_id="r-1",
    unit_id="user-1",
    timestamp=None,
    tags={"site": "web"},
    variant="production",
    arrived=0.0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    requests = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, App(Settings(data_dir=Path(folder))) as app:
        rows = np.zeros((4, 10))
        for version in ("1", "2"):
            model = DummyClassifier().fit(rows, [0, 1, 0, 1])
            app.registry.register_model(model, "m", version, {}, training_data=rows)
        app.registry.promote_to_production("m:1")
        with Figures(__file__) as figures:
            asyncio.run(measure(app, requests, figures))


async def measure(app: App, requests: int, figures: Figures) -> None:
    experiments = InMemoryExperiments()
    gateway = Gateway(app, experiments)
    for name, running in (
        ("no experiment", []),
        ("one", [Allocation(experiment="one", arms=ARMS)]),
        ("one with everything", [everything("exp-2")]),
        ("three with everything, the last answers", [everything(f"exp-{n}") for n in (0, 1, 2)]),
    ):
        experiments.run("m", *running)
        await gateway.router.refresh()
        figures.add(name, least(gateway, requests), "µs a request")
    experiments.run("m")
    by = By("benchmark")
    begun = app.rollouts.start("june", model="m", version="2", plan=Plan(), by=by)
    for name, event in (("a rollout, production answers", None), ("the canary", Event.PROMOTE)):
        if event is not None:
            at, after = app.clock(), begun.moved(event, app.clock())
            app.rollouts.repository.save(
                begun, after, action=event.value, at=at, by=by, evidence=after
            )
        await gateway.router.refresh()
        figures.add(name, least(gateway, requests), "µs a request")
    gateway.router.close()


def everything(name: str) -> Allocation:
    return Allocation(
        experiment=name,
        arms=ARMS,
        included_bp=9_999 if name == "exp-2" else 1,
        holdout=Holdout(1),
        namespace=Namespace("search", 0, 9_999),
        targeting=Targeting((Equals("tag.site", "web"),)),
    )


def least(gateway: Gateway, requests: int) -> float:
    """Return the least processor time of five runs, in microseconds a request."""
    live = gateway.router.in_production("m")
    times = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(requests):
            gateway._routed(live, CALL, lambda _: CALL)
        times.append(time.process_time() - start)
    return min(times) / requests * 1e6


if __name__ == "__main__":
    main()
