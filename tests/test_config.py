from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.config import (
    ConfigError,
    ServerSettings,
    Settings,
    UnknownSettingError,
    load_settings,
)
from watchkeeper.config.faults import RenamedSettingError
from watchkeeper.errors import NotFoundError


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> Path:
    file = Path("watchkeeper.toml")
    file.write_text(text, encoding="utf-8")
    return file


def test_given_settings_when_they_are_handed_to_another_process_then_it_has_the_same() -> None:
    given = {
        "telemetry": {"alerts": {"traffic": 10}},
        "models": {
            "late": {
                "rollout": {"steps": [1, 50], "on_inconclusive": "rollback"},
                "retraining": {"schedule": "30 4 * * 1-5", "max_size": "1 MiB"},
                "health": {"window_hours": 1},
                "slo": {"days": 7},
                "online": {"keep": 3},
            }
        },
    }
    settings = Settings.model_validate(given)

    handed = Settings.model_validate_json(settings.model_dump_json())

    assert handed == settings
    assert handed.policy("late").retraining.max_size == 1 << 20
    assert handed.policy("late").rollout.steps == (1.0, 50.0)


@pytest.mark.parametrize("text", [None, ""])
def test_given_no_file_or_an_empty_one_when_loaded_then_all_is_default(text: str | None) -> None:
    if text is not None:
        write(text)

    assert load_settings() == Settings()


def test_given_all_sources_when_loaded_then_command_line_beats_environment_beats_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('data_dir = "file"\n[server]\nhost = "file"\nport = 1\nworkers = 2')
    monkeypatch.setenv("WATCHKEEPER_SERVER__HOST", "environment")
    monkeypatch.setenv("WATCHKEEPER_SERVER__PORT", "2")
    monkeypatch.setenv("WATCHKEEPER_DATA_DIR", "environment")

    settings = load_settings(None, Path("line"), server={"port": 3, "workers": None})

    assert settings.data_dir == Path("line")
    assert (settings.server.host, settings.server.port) == ("environment", 3)
    assert settings.server.workers == 2


@given(number=st.integers(1, 1000))
def test_given_a_size_with_its_unit_when_read_then_it_is_in_bytes(number: int) -> None:
    settings = Settings.model_validate(
        {"store": {"segment_max_bytes": f"{number} MiB", "max_bytes": number}}
    )

    assert settings.store.segment_max_bytes == number << 20
    assert settings.store.max_bytes == number


def test_given_a_policy_when_asked_for_then_it_is_that_models_and_others_have_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('[models.flights]\npositive = "late"\nquality.window_size = 50')
    monkeypatch.setenv("WATCHKEEPER_MODELS__FLIGHTS__DRIFT__ALPHA", "0.01")

    settings = load_settings()

    assert settings.policy("flights").positive == "late"
    assert settings.policy("flights").quality.window_size == 50
    assert settings.policy("flights").drift.alpha == 0.01
    assert settings.policy("other").quality.window_size == 1000


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[server]\nprot = 1", "server.prot", "server.port"),
        ("[sever]\nport = 1", "sever", "server"),
        ("datadir = 'x'", "datadir", "data_dir"),
        ("[models.flights.drfit]\nthreshold = 1", "models.flights.drfit", "models.NAME.drift"),
    ],
)
def test_given_a_key_that_does_not_exist_when_loaded_then_the_error_suggests_one_that_does(
    text: str, key: str, hint: str
) -> None:
    file = write(text)

    with pytest.raises(UnknownSettingError, match=hint) as caught:
        load_settings(file)

    assert (caught.value.key, caught.value.source) == (key, str(file))


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("WATCHKEEPER_SERVER__PROT", "WATCHKEEPER_SERVER__PORT"),
        ("WATCHKEEPER_DATADIR", "WATCHKEEPER_DATA_DIR"),
    ],
)
def test_given_a_variable_that_does_not_exist_when_loaded_then_the_error_suggests_one_that_does(
    monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "1")

    with pytest.raises(UnknownSettingError, match=f"{variable}.*{hint}"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[server]\nport = 'x'",
            "server.port in watchkeeper.toml is 'x'; expected a valid integer",
        ),
        ("[server]\nport = 70000", "expected less than or equal to 65535"),
        ("[store]\nmax_bytes = '1 elephant'", "expected a size in bytes"),
        ("[store]\nwhen_full = 'explode'", "expected 'refuse' or 'answer'"),
        ("server = 1", "expected a table"),
        ("[models.'a/b']", "expected 1 to 100 of A-Z"),
        (
            "[models.late.retraining]\nschedule = 'daily'",
            "models.late.retraining.schedule in watchkeeper.toml is 'daily'; expected five fields",
        ),
        (
            "[models.late.rollout]\nalpha = 5",
            "models.late.rollout.alpha in watchkeeper.toml is 5; expected less than 1",
        ),
        ("[models.late]\nonline = 1", "expected a table with the settings of OnlinePolicy"),
        ("[notifications.receivers.ops]", "expected either url, or url_file"),
        ("[server", "expected TOML"),
    ],
)
def test_given_a_wrong_value_when_loaded_then_one_line_says_field_value_and_expected(
    text: str, message: str
) -> None:
    write(text)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_given_a_wrong_key_of_the_api_when_loaded_then_the_error_does_not_repeat_it() -> None:
    write("[server]\napi_keys = [12345678]")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert "12345678" not in str(caught.value)
    assert "hunter2" not in repr(Settings(server=ServerSettings(api_keys=("hunter2",))))


def test_given_a_variable_that_is_no_json_when_a_list_is_due_then_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHKEEPER_SERVER__API_KEYS", "not json")

    with pytest.raises(ConfigError, match="JSON"):
        load_settings()


def test_given_a_file_that_does_not_exist_when_named_then_that_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        load_settings(Path("nowhere.toml"))


def test_given_settings_when_changed_then_they_refuse() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().log_level = "DEBUG"


def test_given_settings_with_old_names_when_loaded_then_all_are_named_with_the_new_ones() -> None:
    write(
        "[models.late.drift]\nthreshold = 0.01\n[models.late.quality]\nalert_threshold = 0.1\n"
        "[models.slow.health]\nsilence = 60\n"
        "[models.slow.rollout]\nmax_answer_shift = 0.4\non_unproven = 'hold'\noff_by = 1.5\n"
        "require_proof = true\nwatch_hours = 48\noutcome_hours = 0.0001\n"
        "[models.slow.retraining]\nretrain_threshold = 0.1\nthen = 'shadow'\n"
    )

    with pytest.raises(RenamedSettingError) as refused:
        load_settings()

    message = str(refused.value)
    assert "models.late.drift.threshold = 0.01 is now models.late.drift.alpha = 0.01" in message
    assert "is now models.late.quality.max_relative_drop = 0.1" in message
    assert "is now models.slow.health.no_traffic_after = 60" in message
    for setting in (
        "rollout.max_prediction_shift = 0.4",
        'rollout.on_inconclusive = "hold"',
        "rollout.error_tolerance = 1.5",
        "rollout.require_evidence = true",
        "rollout.bake_time = 172800",  # the old one was in hours
        "rollout.label_delay = 0.36",
        "retraining.max_relative_drop = 0.1",
        'retraining.on_success = "shadow"',
    ):
        assert f"is now models.slow.{setting}" in message


def test_given_an_old_name_whose_value_is_wrong_as_well_when_loaded_then_the_new_one_is_named() -> (
    None
):
    write("[models.late.rollout]\nwatch_hours = 'a day'")

    with pytest.raises(RenamedSettingError, match='bake_time = "a day"'):
        load_settings()


def test_given_variables_with_old_names_when_loaded_then_all_are_named_with_the_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHKEEPER_MODELS__LATE__DRIFT__THRESHOLD", "0.01")
    monkeypatch.setenv("WATCHKEEPER_MODELS__LATE__ROLLOUT__WATCH_HOURS", "48")

    with pytest.raises(RenamedSettingError) as refused:
        load_settings()

    message = str(refused.value)
    assert "is now WATCHKEEPER_MODELS__LATE__DRIFT__ALPHA=0.01" in message
    assert "is now WATCHKEEPER_MODELS__LATE__ROLLOUT__BAKE_TIME=172800" in message


def test_given_a_variable_of_a_table_with_an_old_name_when_loaded_then_the_new_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHKEEPER_MODELS", '{"late": {"rollout": {"watch_hours": 1}}}')

    with pytest.raises(RenamedSettingError, match="bake_time = 3600"):
        load_settings()


def test_given_a_policy_with_an_old_name_when_made_in_code_then_the_new_one_is_named() -> None:
    with pytest.raises(ValueError, match="bake_time = 3600"):
        Settings.model_validate({"models": {"late": {"rollout": {"watch_hours": 1}}}})
