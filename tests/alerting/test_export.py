import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector
from tests.parts import ROOT, program

from watchkeeper.alerting.dashboards import dashboards, grafana_json
from watchkeeper.alerting.export import KEY_FILE, Surroundings, exported
from watchkeeper.alerting.rules import AlertThresholds, alerts, recordings
from watchkeeper.cli import main
from watchkeeper.config import Settings, load_settings
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

DEPLOY = ROOT / "deploy"


def run(name: str, *arguments: str, cwd: Path) -> str:
    command = [program(name), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def export(folder: Path, *options: str) -> int:
    return main(["telemetry", "export", str(folder), *options])


def test_given_deploy_when_compared_with_what_the_command_writes_then_they_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert export(tmp_path / "out") == 0

    written = {p.relative_to(tmp_path / "out"): p.read_text() for p in files(tmp_path / "out")}
    kept = {p.relative_to(DEPLOY): p.read_text() for p in files(DEPLOY)}
    assert written == kept, "run: watchkeeper telemetry export deploy --force"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


CONFIG = """
[server]
api_keys = ["open sesame"]

[telemetry]
environment = "staging"
url = "https://watchkeeper.example.com/"
targets = ["a.example.com:8000", "b.example.com:8000"]
pagerduty_key_file = "/etc/alertmanager/pagerduty_key"
slack_url_file = "/etc/alertmanager/slack_url"

[telemetry.alerts]
accuracy = 0.7
"""


@pytest.mark.parametrize("config", ["", CONFIG], ids=["defaults", "all set"])
def test_given_settings_when_exported_then_prometheus_and_alertmanager_take_the_files(
    config: str, tmp_path: Path
) -> None:
    (tmp_path / "w.toml").write_text(config)
    assert export(tmp_path / "out", "--config", str(tmp_path / "w.toml")) == 0
    out = tmp_path / "out"
    (out / "secrets").mkdir()
    (out / KEY_FILE).write_text("open sesame")

    assert "valid prometheus config" in run(
        "promtool", "check", "config", "prometheus.yml", cwd=out
    )
    assert "SUCCESS" in run("amtool", "check-config", "alertmanager.yml", cwd=out)
    text = "".join(path.read_text() for path in files(out) if path.name != "watchkeeper_api_key")
    assert "open sesame" not in text


def test_given_keys_and_receivers_when_exported_then_secrets_stay_in_files(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(CONFIG)
    export(tmp_path / "out", "--config", str(tmp_path / "w.toml"))
    prometheus = yaml.safe_load((tmp_path / "out" / "prometheus.yml").read_text())
    alertmanager = yaml.safe_load((tmp_path / "out" / "alertmanager.yml").read_text())
    page, ticket, _ = alertmanager["receivers"]
    (scrape,) = prometheus["scrape_configs"]

    assert scrape["authorization"] == {"credentials_file": KEY_FILE}
    assert scrape["static_configs"][0]["targets"] == ["a.example.com:8000", "b.example.com:8000"]
    assert scrape["static_configs"][0]["labels"] == {
        "environment": "staging",
        "service": "watchkeeper",
    }
    assert prometheus["global"]["scrape_interval"] == "15s"
    assert page["pagerduty_configs"][0]["routing_key_file"] == "/etc/alertmanager/pagerduty_key"
    assert ticket["slack_configs"][0]["api_url_file"] == "/etc/alertmanager/slack_url"
    webhook = page["webhook_configs"][0]
    assert webhook["url"] == "https://watchkeeper.example.com/v1/alerts/alertmanager"
    assert webhook["http_config"]["authorization"] == {"credentials_file": KEY_FILE}


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "HighErrorRate", "severity": "critical"}, "page"),
        ({"alertname": "HighPredictionLatency", "severity": "warning"}, "ticket"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "Theirs"}, "ticket"),
    ],
)
def test_given_an_alert_when_routed_then_it_reaches_its_receiver(
    labels: dict[str, str], receiver: str
) -> None:
    told = [f"{name}={value}" for name, value in labels.items()]
    found = run(
        "amtool", "config", "routes", "test", "--config.file=alertmanager.yml",
        f"--verify.receivers={receiver}", *told, cwd=DEPLOY,
    )  # fmt: skip
    assert receiver in found


def test_given_files_that_were_edited_when_exported_again_then_they_are_kept_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    export(tmp_path)
    (tmp_path / "alerts.yml").write_text("mine")
    (tmp_path / "prometheus.yml").unlink()
    capsys.readouterr()

    assert export(tmp_path) == 2
    assert "has other versions of alerts.yml" in capsys.readouterr().err
    assert (tmp_path / "alerts.yml").read_text() == "mine"
    assert not (tmp_path / "prometheus.yml").exists()
    assert export(tmp_path, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == [
        str(tmp_path / "prometheus.yml"),
        str(tmp_path / "alerts.yml"),
    ]
    assert export(tmp_path) == 0


def test_given_a_file_in_the_way_when_exported_then_the_error_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")

    assert export(tmp_path / "out") == 2
    assert str(tmp_path / "out") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ('url = "watchkeeper"', "an address such as https"),
        ("latency_buckets = [1.0, 0.5]", "each above the last"),
        ("latency_buckets = []", "telemetry.latency_buckets"),
        ("alerts.error_rate = 5", "telemetry.alerts.error_rate"),
        ("alert = 5", "telemetry.alerts"),
    ],
)
def test_given_a_wrong_setting_when_read_then_the_error_names_it(
    setting: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "w.toml").write_text(f"[telemetry]\n{setting}\n")

    with pytest.raises(ValueError, match="telemetry") as caught:
        load_settings(tmp_path / "w.toml")
    assert told in str(caught.value)


# Its newest dashboards need a Grafana that few have yet.
@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")
@pytest.mark.parametrize("board", dashboards(), ids=lambda board: board.uid)
def test_given_a_dashboard_when_read_by_grafanas_schema_then_nothing_is_lost(board: Any) -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanaDashboard

    register_default_plugins()
    ours = json.loads(json.dumps(grafana_json(board, "http://runbook")))

    read = GrafanaDashboard.from_json(ours)
    theirs = json.loads(JSONEncoder(sort_keys=True).encode(read))

    assert lost(ours, theirs, "") == []
    assert len({panel["id"] for panel in ours["panels"]}) == len(board.panels)
    for panel in ours["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def lost(ours: Any, theirs: Any, path: str) -> list[str]:
    """Return where something of ours is not in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            each
            for name, value in ours.items()
            for each in (
                lost(value, theirs[name], f"{path}.{name}")
                if name in theirs
                else ([] if value in (None, "", [], {}, False) else [f"{path}.{name}"])
            )
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            e
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            for e in lost(a, b, f"{path}[{i}]")
        ]
    return [] if ours == theirs else [path]


def test_given_expressions_when_read_then_each_metric_is_one_that_we_export() -> None:
    registry = CollectorRegistry()
    ModelMetrics(registry)
    SystemMetrics(registry, version="1")
    ProcessCollector(registry=registry)
    known = {"up", "ALERTS", *(each.record for each in recordings(AlertThresholds()))}
    for family in registry.collect():
        suffixes = {"counter": ["_total"], "info": ["_info"], "summary": ["_sum", "_count"]}
        suffixes["histogram"] = ["_bucket", "_count", "_sum"]
        known |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    expressions = [
        *(each.expr for each in recordings(AlertThresholds())),
        *(each.expr for each in alerts(AlertThresholds())),
        *(expr for board in dashboards() for panel in board.panels for expr, _ in panel.queries),
    ]
    used = {
        name
        for expr in expressions
        for name in re.findall(
            r"\b((?:model|watchkeeper|process)[:_][a-z0-9_:]+|up|ALERTS)\b", expr
        )
    }
    assert used - known - {"model_version"} == set()
    assert len(used) > 30


def test_given_the_runbook_when_read_then_it_has_each_alert_and_each_panel() -> None:
    text = exported(Surroundings())["runbook.md"]

    for alert in alerts(AlertThresholds()):
        assert f"\n## {alert.name}\n" in text
        assert alert.expr in text
    for board in dashboards():
        for panel in board.panels:
            assert f"| {panel.title} | {panel.description} |" in text


@pytest.mark.parametrize(
    ("host", "target"),
    [("0.0.0.0", "127.0.0.1:8000"), ("::", "[::1]:8000"), ("10.0.0.7", "10.0.0.7:8000")],
)
def test_given_a_server_that_listens_everywhere_when_exported_then_it_is_reached_on_loopback(
    host: str, target: str
) -> None:
    around = Settings.model_validate({"server": {"host": host}}).surroundings()

    assert (around.targets, around.url) == ((target,), f"http://{target}")
