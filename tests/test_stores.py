from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier

from watchkeeper.clock import ReplayClock, system_clock
from watchkeeper.config import ServerSettings, Settings
from watchkeeper.stores import DataDirError, Stores


@pytest.mark.parametrize("below", ["", "deeper"])
def test_given_a_file_in_the_way_when_put_together_then_the_error_says_so(
    tmp_path: Path, below: str
) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(DataDirError, match="is a file"):
        Stores(Settings(data_dir=file / below if below else file))


def test_given_the_clock_of_events_when_put_together_then_time_follows_them(
    tmp_path: Path,
) -> None:
    replaying = Stores(Settings(data_dir=tmp_path, server=ServerSettings(clock="events")))
    real = Stores(Settings(data_dir=tmp_path))

    assert isinstance(replaying.clock, ReplayClock)
    assert real.clock is system_clock


def test_given_a_registered_signature_when_types_are_asked_for_then_they_are_its(
    tmp_path: Path,
) -> None:
    import pandas as pd

    data = pd.DataFrame({"n": [0.5, 1.5], "i": [1, 2], "b": [True, False], "s": ["x", "y"]})
    with Stores(Settings(data_dir=tmp_path)) as stores:
        model = DummyClassifier().fit(data, [0, 1])
        assert stores.types("risk", "1.0.0") is None
        stores.registry.register_model(model, "risk", "1.0.0", {}, training_data=data)

        kinds = stores.types("risk", "1.0.0")

    assert kinds == {
        "feature.n": "number",
        "feature.i": "number",
        "feature.b": "truth",
        "feature.s": "word",
    }
