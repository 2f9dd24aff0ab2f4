from pathlib import Path

from watchkeeper.app import App
from watchkeeper.config import Settings


def test_given_an_app_when_nothing_is_used_then_only_the_data_directory_is_made(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "a" / "b"

    with App(Settings(data_dir=data_dir)):
        pass

    assert list(data_dir.iterdir()) == []
