"""The configuration of Prometheus, Alertmanager and Grafana that goes with Watchkeeper.

>>> sorted(exported(Surroundings()))[:3]
['alertmanager.yml', 'alerts.yml', 'grafana/dashboards/watchkeeper-model.json']
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchkeeper.alerting import runbook
from watchkeeper.alerting.dashboards import dashboards, grafana_json
from watchkeeper.alerting.rules import AlertThresholds, rule_groups
from watchkeeper.durable import sync
from watchkeeper.errors import ConflictError

__all__ = ["KEY_FILE", "FilesDifferError", "Surroundings", "exported", "write"]

KEY_FILE = "secrets/watchkeeper_api_key"
"""Where Prometheus and Alertmanager read the key that Watchkeeper asks for, beside their files."""

_HEAD = "# Made by `watchkeeper telemetry export`, which makes it again from the settings.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the configuration has to know.

    Attributes
    ----------
    environment, service : str
        Labels of everything.
    url : str
        Where browsers and Alertmanager reach Watchkeeper.
    targets, alertmanagers : tuple of str
        ``host:port`` of every replica, and of every Alertmanager.
    asks_for_key : bool
        Whether Watchkeeper asks who calls.
    pagerduty_key_file, slack_url_file : str or None
        Files on Alertmanager's machine.
    thresholds : AlertThresholds
    """

    environment: str = "production"
    service: str = "watchkeeper"
    url: str = "http://127.0.0.1:8000"
    targets: tuple[str, ...] = ("127.0.0.1:8000",)
    alertmanagers: tuple[str, ...] = ("127.0.0.1:9093",)
    asks_for_key: bool = False
    pagerduty_key_file: str | None = None
    slack_url_file: str | None = None
    thresholds: AlertThresholds = field(default_factory=AlertThresholds)

    @property
    def runbook_url(self) -> str:
        """Where the runbook is read."""
        return f"{self.url}/runbook"


class FilesDifferError(ConflictError):
    """Files that would be written are there already and say something else."""

    def __init__(self, folder: str, names: tuple[str, ...]) -> None:
        super().__init__(
            f"{folder} has other versions of {', '.join(names)}",
            "Export to another folder and compare, or replace them with --force.",
        )
        self.args = (folder, names)
        self.folder, self.names = folder, names


def exported(context: Surroundings) -> dict[str, str]:
    """Return the text of every file by its path within the folder.

    Parameters
    ----------
    context : Surroundings

    Returns
    -------
    dict of str to str
    """
    files = {
        "prometheus.yml": _yaml(_prometheus(context)),
        "alerts.yml": _yaml(rule_groups(context.thresholds, context.runbook_url)),
        "alertmanager.yml": _yaml(_alertmanager(context)),
        "runbook.md": runbook.markdown(context.thresholds),
        "grafana/provisioning/datasources/watchkeeper.yml": _yaml(_grafana_source()),
        "grafana/provisioning/dashboards/watchkeeper.yml": _yaml(_grafana_folder()),
    }
    for dashboard in dashboards():
        text = json.dumps(grafana_json(dashboard, context.runbook_url), indent=2)
        files[f"grafana/dashboards/{dashboard.uid}.json"] = text + "\n"
    return files


def write(files: Mapping[str, str], folder: Path, *, force: bool = False) -> list[Path]:
    """Write `files` below `folder`, each whole or not at all; return those that changed.

    Parameters
    ----------
    files : mapping of str to str
    folder : Path
        Made when it is not there.
    force : bool
        Replace files that differ.

    Returns
    -------
    list of Path

    Raises
    ------
    FilesDifferError
        If one is there with another content, unless `force`; then nothing was written.
    """
    changed = [name for name, text in files.items() if _read(folder / name) != text]
    differing = tuple(name for name in changed if (folder / name).exists())
    if differing and not force:
        raise FilesDifferError(str(folder), differing)
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(files[name], encoding="utf-8")
        sync(partial)
        partial.replace(path)
    return [folder / name for name in changed]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _prometheus(context: Surroundings) -> dict[str, Any]:
    labels = {"environment": context.environment, "service": context.service}
    scrape: dict[str, Any] = {
        "job_name": "watchkeeper",
        "static_configs": [{"targets": list(context.targets), "labels": labels}],
    }
    if context.asks_for_key:
        scrape["authorization"] = {"credentials_file": KEY_FILE}
    return {
        "global": {
            "scrape_interval": "15s",
            "evaluation_interval": "15s",
            "external_labels": dict(labels),
        },
        "rule_files": ["alerts.yml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(context.alertmanagers)}]}]
        },
        "scrape_configs": [scrape],
    }


def _alertmanager(context: Surroundings) -> dict[str, Any]:
    page: dict[str, Any] = {"name": "page", **_to_watchkeeper(context)}
    ticket: dict[str, Any] = {"name": "ticket", **_to_watchkeeper(context)}
    if context.pagerduty_key_file is not None:
        page["pagerduty_configs"] = [
            {"routing_key_file": context.pagerduty_key_file, "send_resolved": True}
        ]
    if context.slack_url_file is not None:
        ticket["slack_configs"] = [{"api_url_file": context.slack_url_file, "send_resolved": True}]
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["alertname", "model", "model_version"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "24h",
            "routes": [
                {
                    "matchers": ['alertname="Watchdog"'],
                    "receiver": "watchdog",
                    "group_wait": "0s",
                    "group_interval": "1m",
                    "repeat_interval": "5m",
                },
                {
                    "matchers": ['severity="critical"'],
                    "receiver": "page",
                    "group_wait": "10s",
                    "repeat_interval": "1h",
                },
            ],
        },
        "inhibit_rules": [
            {  # who is paged about a version needs no ticket about it
                "source_matchers": ['severity="critical"', 'model_version!=""'],
                "target_matchers": ['severity="warning"', 'model_version!=""'],
                "equal": ["environment", "service", "model", "model_version"],
            },
            {  # a server that is down has no traffic
                "source_matchers": ['alertname="WatchkeeperDown"'],
                "target_matchers": ['alertname="PredictionsStopped"'],
                "equal": ["environment", "service"],
            },
        ],
        "receivers": [page, ticket, {"name": "watchdog", **_to_watchkeeper(context)}],
    }


def _to_watchkeeper(context: Surroundings) -> dict[str, Any]:
    webhook: dict[str, Any] = {
        "url": f"{context.url}/v1/alerts/alertmanager",
        "send_resolved": True,
    }
    if context.asks_for_key:
        webhook["http_config"] = {"authorization": {"credentials_file": KEY_FILE}}
    return {"webhook_configs": [webhook]}


def _grafana_source() -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": "watchkeeper-prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": "http://127.0.0.1:9090",
                "isDefault": True,
                "jsonData": {"timeInterval": "15s"},
            }
        ],
    }


def _grafana_folder() -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "watchkeeper",
                "folder": "Watchkeeper",
                "type": "file",
                "allowUiUpdates": False,
                "options": {"path": "/var/lib/grafana/dashboards"},
            }
        ],
    }


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes text of several lines as a block, and never an alias."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            super().increase_indent(flow, indentless=False)

    def block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, block)
    return _HEAD + yaml.dump(
        dict(content), Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True
    )
