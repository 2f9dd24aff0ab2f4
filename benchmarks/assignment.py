"""Claims: what it costs to place a unit in an experiment.

- `assign_many` places at least 500,000 units a second.
- `assign` places one unit in at most 5 µs, also with a holdout, a namespace and an included share,
  each of which is a hash of its own.

Beside them: what one would write oneself, MD5 and floating-point shares; and, where ``mmh3`` is
installed, the same with MurmurHash3.

    python benchmarks/assignment.py [--units 500000]
"""

import argparse
import hashlib
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from figures import Figures
from watchkeeper.experiments import Allocation, Arm, Holdout, Namespace

ARMS = (Arm("control", 5_000), Arm("first", 3_000), Arm("second", 2_000))
SHARES = (("control", 0.5), ("first", 0.8), ("second", 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=500_000)
    units = [f"user-{n:08d}" for n in range(parser.parse_args().units)]
    plain = Allocation(experiment="new-model", arms=ARMS)
    full = Allocation(
        experiment="new-model",
        arms=ARMS,
        included_bp=9_500,
        holdout=Holdout(500),
        namespace=Namespace("search", 0, 9_500),
    )
    sdk = Allocation(experiment="new-model", arms=ARMS, hash="growthbook-v2")
    with Figures(__file__) as figures:
        measure(figures, plain, full, sdk, units)


def measure(
    figures: Figures, plain: Allocation, full: Allocation, sdk: Allocation, units: list[str]
) -> None:
    def show(name: str, run: Callable[[], object]) -> None:
        least = min(processor_seconds(run) for _ in range(5))  # of processor time
        figures.add(name, least / len(units) * 1e6, "µs a unit")

    show("assign_many", lambda: plain.assign_many(units))
    show("assign_many, holdout, namespace, share", lambda: full.assign_many(units))
    show("assign_many, growthbook-v2", lambda: sdk.assign_many(units))
    for name, allocation in (
        ("assign", plain),
        ("assign, holdout, namespace, share", full),
        ("assign, growthbook-v2", sdk),
    ):
        show(name, lambda own=allocation: [own.assign(unit) for unit in units])  # type: ignore[misc]
    show("beside it: MD5 and floats", lambda: [by_share(md5_share(u)) for u in units])
    if find_spec("mmh3"):
        mmh3 = import_module("mmh3")

        def murmur() -> list[str]:
            return [by_share(mmh3.hash(f"new-model:{u}", signed=False) / 2**32) for u in units]

        show("beside it: MurmurHash3 and floats", murmur)


def md5_share(unit: str) -> float:
    digest = hashlib.md5(f"new-model:{unit}".encode()).hexdigest()
    return int(digest[:8], 16) / 0xFFFFFFFF


def by_share(share: float) -> str:
    return next(name for name, end in SHARES if share <= end)


def processor_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
