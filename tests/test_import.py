import subprocess
import sys

import pytest

HEAVY = ["fastapi", "starlette", "uvicorn", "sqlalchemy", "sklearn", "pandas", "deltalake"]


@pytest.mark.parametrize(
    "module",
    [
        "watchkeeper",
        "watchkeeper.drift",
        "watchkeeper.quality",
        "watchkeeper.experiments",
        "watchkeeper.cli",
    ],
)
def test_given_a_fresh_process_when_a_light_module_is_imported_then_nothing_heavy_comes_with_it(
    module: str,
) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []
