"""The figures of a benchmark: kept as JSON beside the scripts, and compared with what was kept.

    with Figures(__file__) as figures:
        figures.add("assign", 1.9, "µs a unit")

prints each figure with the kept one and their ratio. With the arguments that a script has by
default, ``benchmarks/results/NAME.json`` is written anew, to be committed with the change that
moved it; with others it is left as it is.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from watchkeeper import __version__

RESULTS = Path(__file__).parent / "results"


class Figures:
    """The figures of one run of one script.

    Parameters
    ----------
    script : str
        Its file; the result has its name.
    results : Path
        Folder of the results.
    keep : bool, optional
        Whether the result is written; by default, when the script was called without arguments.
    """

    def __init__(self, script: str, *, results: Path = RESULTS, keep: bool | None = None) -> None:
        self._path = results / f"{Path(script).stem}.json"
        self._keep = len(sys.argv) == 1 if keep is None else keep
        self._figures: dict[str, tuple[float, str]] = {}
        before = json.loads(self._path.read_text()) if self._path.exists() else {"figures": {}}
        self._before: dict[str, dict[str, float]] = before["figures"]

    def add(self, label: str, value: float, unit: str) -> None:
        """Print a figure beside the kept one, and keep it for the end.

        Parameters
        ----------
        label : str
            What was measured; the same in every run.
        value : float
        unit : str
            As it is read after the number: ``"µs a unit"``.
        """
        self._figures[label] = (float(value), unit)
        before = self._before.get(label, {}).get("value")
        beside = "" if not before else f"  {value / before:6.2f} times the kept {before:,.4g}"
        print(f"{label:48} {value:14,.4g} {unit}{beside}", flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or not self._keep:
            return
        result = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "figures": {
                label: {"value": float(f"{value:.6g}"), "unit": unit}
                for label, (value, unit) in self._figures.items()
            },
        }
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
