"""Each alert, as Prometheus itself computes it: when it fires and when it must not."""

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from tests.parts import program

from watchkeeper.alerting.export import Surroundings, exported
from watchkeeper.alerting.rules import AlertThresholds, alerts, recordings
from watchkeeper.config import ConfigError, Settings
from watchkeeper.health import Slo, budget_of, traffic_of

_ONE = 'model="risk",model_version="1"'


def predictions(ok: str, bad: str = "0x200", where: str = 'instance="a"') -> dict[str, str]:
    """Return what a replica counted, a value every 15 seconds: ``0+10x40`` is 10 more each."""
    return {
        f'model_predictions_total{{{_ONE},status="success",{where}}}': ok,
        f'model_predictions_total{{{_ONE},status="error",{where}}}': bad,
    }


def latency(fast: str, slow: str, where: str = 'instance="a"') -> dict[str, str]:
    """Return requests of up to 1 s, and requests of up to 2.5 s (which include the former)."""
    bucket = f"model_prediction_latency_seconds_bucket{{{_ONE},{where},le="
    return {
        f'{bucket}"1.0"}}': fast,
        f'{bucket}"2.5"}}': slow,
        f'{bucket}"+Inf"}}': slow,
    }


def slow(fast: str, every: str) -> dict[str, str]:
    """Return requests of up to half a second, and all."""
    bucket = f'model_prediction_latency_seconds_bucket{{{_ONE},instance="a",le='
    return {f'{bucket}"0.5"}}': fast, f'{bucket}"+Inf"}}': every}


def accuracy(value: str, at: str = "0x2000", where: str = 'instance="a"') -> dict[str, str]:
    return {
        f"model_accuracy{{{_ONE},{where}}}": value,
        f"model_accuracy_timestamp_seconds{{{_ONE},{where}}}": at,
    }


def drift(value: str, at: str = "0x400", where: str = 'instance="a"') -> dict[str, str]:
    return {
        f'model_dataset_drift_detected{{model="risk",{where}}}': value,
        f'model_drift_timestamp_seconds{{model="risk",{where}}}': at,
    }


NAN = "NaN " * 60
OTHER = 'instance="b"'
UP = 'up{job="watchkeeper",instance="a"}'
AGE = 'watchkeeper_oldest_segment_age_seconds{service="s",instance="a"}'
DROPPED = 'watchkeeper_events_dropped_total{service="s",instance="a"}'
ROLLBACKS = 'model_rollout_rollbacks_total{model="risk",instance="a"}'
RETRAINED = 'model_retraining_runs_total{model="risk",outcome="failed",instance="a"}'
REFUSED = 'watchkeeper_requests_refused_total{service="s",instance="a"}'
FAILED = 'watchkeeper_job_failures_total{service="s",task="landing",instance="a"}'
VERSION = {"model": "risk", "model_version": "1"}


@dataclass(frozen=True)
class Case:
    """How many alerts of a name fire at some times."""

    alert: str
    told: str
    series: dict[str, str]
    fires: dict[str, int]
    labels: dict[str, str] = field(default_factory=lambda: VERSION)
    interval: str = "15s"


CASES = [
    Case("HighErrorRate", "6 % fail", predictions("0+94x60", "0+6x60"), {"4m": 0, "9m": 1}),
    Case("HighErrorRate", "exactly 5 % fail", predictions("0+95x60", "0+5x60"), {"14m": 0}),
    Case("HighErrorRate", "one of many failed", predictions("0+100x60", "0 1+0x60"), {"14m": 0}),
    Case("HighErrorRate", "all of very few fail", predictions("0x60", "0+1x1 1+0x60"), {"9m": 0}),
    Case("HighErrorRate", "no traffic", predictions("7x60", "9x60"), {"14m": 0}),
    Case("HighErrorRate", "nothing is there", {}, {"14m": 0}),
    Case(
        "HighErrorRate",
        "two replicas fail: one alert",
        {**predictions("0+94x60", "0+6x60"), **predictions("0+90x60", "0+10x60", OTHER)},
        {"9m": 1},
    ),
    Case(
        "HighErrorRate",
        "one of ten replicas fails a tenth: 1 % in all",
        {
            **predictions("0+90x60", "0+10x60"),
            **predictions("0+900x60", "0x60", OTHER),
        },
        {"14m": 0},
    ),
    Case(
        "HighErrorRate",
        "a replica that restarts loses no errors and invents none",
        predictions("0+94x20 0+94x40", "0+6x20 0+6x40"),
        {"9m": 1, "14m": 1},
    ),
    Case(
        "HighErrorRate",
        "a replica that restarts, all is well",
        predictions("0+100x20 0+100x40", "0x20 0x40"),
        {"9m": 0},
    ),
    Case(
        "HighErrorRate",
        "a new version that fails from its first call",
        predictions("_x20 0+50x40", "_x20 0+50x40"),
        {"8m": 0, "12m": 1},
    ),
    Case(
        "HighErrorRate",
        "it heals",
        predictions("0+94x40 3760+100x60", "0+6x40 240+0x60"),
        {"9m": 1, "20m": 0},
    ),
    Case("HighErrorRate", "counts are NaN", predictions(NAN, NAN), {"14m": 0}),
    Case(
        "HighPredictionLatency",
        "a tenth takes longer than a second",
        {**predictions("0+100x60"), **latency("0+90x60", "0+100x60")},
        {"4m": 0, "9m": 1},
    ),
    Case(
        "HighPredictionLatency",
        "the 95th percentile is exactly a second",
        {**predictions("0+100x60"), **latency("0+95x60", "0+100x60")},
        {"14m": 0},
    ),
    Case(
        "HighPredictionLatency",
        "two replicas are slow: one alert",
        {
            **predictions("0+100x60"),
            **latency("0+90x60", "0+100x60"),
            **predictions("0+100x60", where=OTHER),
            **latency("0+90x60", "0+100x60", OTHER),
        },
        {"9m": 1},
    ),
    Case(
        "HighPredictionLatency",
        "no traffic",
        {**predictions("7x60"), **latency("3x60", "9x60")},
        {"14m": 0},
    ),
    Case(
        "HighPredictionLatency",
        "it restarts",
        {**predictions("0+100x20 0+100x40"), **latency("0+90x20 0+90x40", "0+100x20 0+100x40")},
        {"9m": 1},
    ),
    Case("ModelAccuracyDrop", "it is low", accuracy("0.84x100"), {"9m": 0, "11m": 1}),
    Case("ModelAccuracyDrop", "it is just good enough", accuracy("0.85x100"), {"20m": 0}),
    Case("ModelAccuracyDrop", "it is unknown", accuracy("_x100", "_x100"), {"20m": 0}),
    Case("ModelAccuracyDrop", "it is NaN", accuracy(NAN), {"20m": 0}),
    Case(
        "ModelAccuracyDrop",
        "scrapes fail now and then",
        accuracy("0.8 _ _ 0.8 _ _ 0.8 _ _ 0.8 0.8 0.8 _x100", "0 _ _ 0 _ _ 0 _ _ 0 0 0 _x100"),
        {"13m": 1},
    ),
    Case(
        "ModelAccuracyDrop",
        "one replica measured it long ago, the other measures it now",
        {**accuracy("0.8x100", "100x100"), **accuracy("0.9x100", "200x100", OTHER)},
        {"20m": 0},
    ),
    Case(
        "ModelAccuracyDrop",
        "of two replicas the one that measured last is bad: one alert",
        {**accuracy("0.8x100", "300x100"), **accuracy("0.9x100", "200x100", OTHER)},
        {"20m": 1},
    ),
    Case(
        "ModelAccuracyDrop",
        "nobody says when it was measured",
        {f"model_accuracy{{{_ONE}}}": "0.8x100"},
        {"20m": 1},
    ),
    Case(
        "ModelAccuracyDrop", "it leaves production", accuracy("0.8x60 _x200", "0x60 _x200"),
        {"14m": 1, "31m": 0},
    ),
    Case("TrafficSpike", "1001 a second", predictions("0+15015x60"), {"1m": 0, "8m": 1}),
    Case("TrafficSpike", "just below 1000 a second", predictions("0+14999x60"), {"14m": 0}),
    Case(
        "TrafficSpike",
        "1200 a second over two replicas",
        {**predictions("0+9000x60"), **predictions("0+9000x60", where=OTHER)},
        {"8m": 1},
    ),
    Case("TrafficSpike", "a counter starts over", predictions("900000x20 0x20"), {"8m": 0}),
    Case(
        "ModelAccuracyStale",
        "measured once, more than a day ago, with traffic",
        {**predictions("0+100x2000"), **accuracy("0.9x2000")},
        {"23h": 0, "25h": 1},
        interval="1m",
    ),
    Case(
        "ModelAccuracyStale",
        "measured once, no traffic",
        {**predictions("5x2000"), **accuracy("0.9x2000")},
        {"25h": 0},
        interval="1m",
    ),
    Case(
        "ModelAccuracyStale",
        "another replica measures it",
        {
            **predictions("0+100x2000"),
            **accuracy("0.9x2000"),
            **accuracy("0.9x2000", "0+60x2000", OTHER),
        },
        {"25h": 0},
        interval="1m",
    ),
    Case(
        "ModelAccuracyUnknown",
        "a day of predictions and no outcome",
        predictions("0+10x3000"),
        {"23h": 0, "25h": 1},
        interval="1m",
    ),
    Case(
        "ModelAccuracyUnknown",
        "it is known",
        {**predictions("0+10x3000"), **accuracy("0.9x3000")},
        {"25h": 0},
        interval="1m",
    ),
    Case(
        "ModelAccuracyUnknown", "nobody calls", predictions("0x3000"), {"25h": 0}, interval="1m"
    ),
    Case(
        "PredictionsStopped",
        "busy, then silent",
        predictions("0+10x240 2400+0x200"),
        {"59m": 0, "80m": 1},
        {"model": "risk"},
    ),
    Case(
        "PredictionsStopped",
        "another version took over",
        {
            **predictions("0+10x240 2400+0x200"),
            'model_predictions_total{model="risk",model_version="2",status="success"}': (
                "0x240 0+10x200"
            ),
        },
        {"80m": 0},
        {"model": "risk"},
    ),
    Case(
        "PredictionsStopped", "never busy", predictions("0x440"), {"80m": 0}, {"model": "risk"}
    ),
    Case(
        "PredictionsStopped",
        "the server is gone: that is another alert",
        predictions("0+10x240 _x200", "0x240 _x200"),
        {"80m": 0},
        {"model": "risk"},
    ),
    Case("ModelDriftDetected", "it drifted", drift("1x400"), {"59m": 0, "61m": 1},
         {"model": "risk"}),
    Case("ModelDriftDetected", "it did not", drift("0x400"), {"90m": 0}, {"model": "risk"}),
    Case("ModelDriftDetected", "once, not again", drift("1x100 0x300"), {"90m": 0},
         {"model": "risk"}),
    Case("ModelDriftDetected", "unknown", drift("_x400", "_x400"), {"90m": 0}, {"model": "risk"}),
    Case(
        "ModelDriftDetected",
        "the replica that checked last says no",
        {**drift("1x400", "100x400"), **drift("0x400", "200x400", OTHER)},
        {"90m": 0},
        {"model": "risk"},
    ),
    Case("ErrorBudgetBurnsFast", "a fifth fails for an hour", predictions("0+80x90", "0+20x90"),
         {"3m": 1, "80m": 1}, {"model": "risk"}, interval="1m"),
    Case("ErrorBudgetBurnsFast", "a fifth failed, and it is over",
         predictions("0+80x60 4800+100x60", "0+20x60 1200+0x60"), {"50m": 1, "95m": 0},
         {"model": "risk"}, interval="1m"),
    Case("ErrorBudgetBurnsFast", "1 % fails", predictions("0+99x90", "0+1x90"), {"80m": 0},
         {"model": "risk"}, interval="1m"),
    Case("ErrorBudgetBurnsSlowly", "4 % fail for a day", predictions("0+96x1500", "0+4x1500"),
         {"24h": 1}, {"model": "risk"}, interval="1m"),
    Case("ErrorBudgetBurnsSlowly", "0.9 % fail", predictions("0+991x1500", "0+9x1500"),
         {"24h": 0}, {"model": "risk"}, interval="1m"),
    Case("LatencyBudgetBurnsFast", "all take longer", slow("0x90", "0+100x90"), {"80m": 1},
         {"model": "risk"}, interval="1m"),
    Case("LatencyBudgetBurnsFast", "a tenth does", slow("0+90x90", "0+100x90"), {"80m": 0},
         {"model": "risk"}, interval="1m"),
    Case("LatencyBudgetBurnsSlowly", "a fifth does for a day", slow("0+80x1500", "0+100x1500"),
         {"24h": 1}, {"model": "risk"}, interval="1m"),
    Case("LatencyBudgetBurnsSlowly", "4 % do", slow("0+96x1500", "0+100x1500"),
         {"24h": 0}, {"model": "risk"}, interval="1m"),
    Case("RolloutRolledBack", "one was", {ROLLBACKS: "0x20 1x100"}, {"4m": 0, "6m": 1, "40m": 0},
         {"model": "risk"}),
    Case("RolloutRolledBack", "none was", {ROLLBACKS: "1x120"}, {"10m": 0}, {"model": "risk"}),
    Case("RetrainingFailed", "one did", {RETRAINED: "0x20 1x300"}, {"4m": 0, "6m": 1, "70m": 0},
         {"model": "risk"}),
    Case("RetrainingFailed", "none did", {RETRAINED: "1x120"}, {"10m": 0}, {"model": "risk"}),
    Case(
        "WatchkeeperDown",
        "a replica is gone",
        {UP: "1x20 0x40", 'up{job="watchkeeper",instance="b"}': "1x60"},
        {"4m": 0, "8m": 1},
        {"instance": "a"},
    ),
    Case("WatchkeeperDown", "a scrape failed", {UP: "1x20 0 1x40"}, {"6m": 0, "8m": 0},
         {"instance": "a"}),
    Case("WatchkeeperDown", "nobody is known", {}, {"1m": 0, "5m": 1}, {"job": "watchkeeper"}),
    Case("PredictionsNotRecorded", "some are dropped", {DROPPED: "0x20 3x60"}, {"4m": 0, "6m": 1},
         {"service": "s"}),
    Case("PredictionsNotRecorded", "dropped long ago", {DROPPED: "3x100"}, {"20m": 0},
         {"service": "s"}),
    Case("PredictionsNotRecorded", "it restarts", {DROPPED: "3x20 0x60"}, {"7m": 0},
         {"service": "s"}),
    Case("PredictionLogNotAdvancing", "for 21 minutes", {AGE: "0+15x200"}, {"19m": 0, "21m": 1},
         {"service": "s"}),
    Case("PredictionLogNotAdvancing", "900 s exactly", {AGE: "900x200"}, {"21m": 0},
         {"service": "s"}),
    Case(
        "PredictionLogNotAdvancing",
        "two replicas say so: one alert",
        {AGE: "1000x200", AGE.replace('"a"', '"b"'): "2000x200"},
        {"21m": 1},
        {"service": "s"},
    ),
    Case("RequestsRefused", "one a second", {REFUSED: "0+15x60"}, {"3m": 0, "9m": 1},
         {"service": "s"}),
    Case("RequestsRefused", "one in ten seconds", {REFUSED: "0+1.5x60"}, {"14m": 0},
         {"service": "s"}),
    Case("WatchkeeperJobFailing", "each round", {FAILED: "0+7x200"}, {"10m": 0, "20m": 1},
         {"service": "s", "task": "landing"}),
    Case("WatchkeeperJobFailing", "once", {FAILED: "0x8 1x200"}, {"20m": 0, "40m": 0},
         {"service": "s", "task": "landing"}),
    Case("Watchdog", "always", {}, {"1m": 1, "60m": 1}, {}),
]  # fmt: skip


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "alerts.yml"
    path.write_text(exported(Surroundings())["alerts.yml"])
    return path


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def needed(rules: Path, alert: str, folder: Path) -> Path:
    """Return the rules with those alone that an alert rests on: days of all of them take long."""
    told = yaml.safe_load(rules.read_text())
    every = {
        rule.get("record", rule.get("alert")): rule["expr"]
        for group in told["groups"]
        for rule in group["rules"]
    }
    names, left = {alert}, [alert]
    while left:
        expr = every[left.pop()]
        found = {name for name in every if name in expr} - names
        names |= found
        left += found
    for group in told["groups"]:
        group["rules"] = [
            rule for rule in group["rules"] if rule.get("record", rule.get("alert")) in names
        ]
    told["groups"] = [group for group in told["groups"] if group["rules"]]
    path = folder / "needed.yml"
    path.write_text(yaml.safe_dump(told))
    return path


def checked(rules: Path, folder: Path, test: dict[str, Any]) -> None:
    asked = folder / "test.yml"
    content = {"rule_files": [str(rules)], "evaluation_interval": "30s", "tests": [test]}
    asked.write_text(yaml.safe_dump(content))
    found = promtool("test", "rules", str(asked))
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.told}")
def test_given_series_when_prometheus_evaluates_them_then_the_alert_fires_as_it_must(
    case: Case, rules: Path, tmp_path: Path
) -> None:
    firing = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    same = ",".join(f'{name}="{value}"' for name, value in case.labels.items())
    labelled = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing",{same}}})'
    questions = [
        {
            "expr": expr,
            "eval_time": at,
            "exp_samples": [{"labels": "{}", "value": count}] if count else [],
        }
        for at, count in case.fires.items()
        for expr in (firing, labelled)
    ]
    series = [{"series": name, "values": values} for name, values in case.series.items()]

    checked(
        needed(rules, case.alert, tmp_path),
        tmp_path,
        {"interval": case.interval, "input_series": series, "promql_expr_test": questions},
    )


def test_given_the_cases_when_counted_then_each_alert_fires_in_one_and_is_silent_in_one() -> None:
    counts = {
        alert.name: {
            n > 0 for case in CASES if case.alert == alert.name for n in case.fires.values()
        }
        for alert in alerts(AlertThresholds())
    }

    assert counts.pop("Watchdog") == {True}
    assert set(map(frozenset, counts.values())) == {frozenset({True, False})}


@pytest.mark.parametrize("series", [{}, predictions("7x60", "9x60"), latency("3x60", "9x60")])
def test_given_no_traffic_when_recorded_then_nothing_is_nan(
    series: dict[str, str], rules: Path, tmp_path: Path
) -> None:
    given = [{"series": name, "values": values} for name, values in series.items()]
    questions = [
        {
            "expr": f"count({recording.record} != {recording.record})",  # only NaN differs
            "eval_time": "10m",
            "exp_samples": [],
        }
        for recording in recordings(AlertThresholds())
    ]

    checked(
        rules, tmp_path, {"interval": "15s", "input_series": given, "promql_expr_test": questions}
    )


def test_given_other_thresholds_when_exported_then_the_rules_have_them(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yml"
    strict = AlertThresholds(error_rate=0.5, accuracy=0.2)
    path.write_text(exported(Surroundings(thresholds=strict))["alerts.yml"])
    others = "Watchdog|WatchkeeperDown|ErrorBudget.*"
    firing = f'count(ALERTS{{alertstate="firing",alertname!~"{others}"}})'
    series = {**predictions("0+60x60", "0+40x60"), **accuracy("0.3x60")}
    given = [{"series": name, "values": values} for name, values in series.items()]
    question = {"expr": firing, "eval_time": "14m", "exp_samples": []}

    checked(
        path, tmp_path, {"interval": "15s", "input_series": given, "promql_expr_test": [question]}
    )


def test_given_the_rules_when_checked_then_prometheus_takes_them(rules: Path) -> None:
    found = promtool("check", "rules", str(rules))

    assert found.returncode == 0, found.stderr
    assert (
        f"{len(recordings(AlertThresholds())) + len(alerts(AlertThresholds()))} rules found"
        in found.stdout
    )


@pytest.mark.parametrize("alert", alerts(AlertThresholds()), ids=lambda alert: alert.name)
def test_given_an_alert_when_read_then_it_says_value_threshold_and_what_to_do(alert: Any) -> None:
    assert "$value" in alert.description
    assert alert.summary
    assert alert.means.endswith(".")
    assert alert.steps


def test_given_the_same_events_when_budgets_burn_then_prometheus_and_the_event_store_agree(
    rules: Path, tmp_path: Path
) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    failing = [0.0] * 120 + [0.3] * 45 + [0.0] * 60 + [0.08] * 240 + [0.0] * 90
    asked = 200  # predictions a minute
    bad = [round(each * asked) for each in failing]
    table = pa.table(
        {
            "timestamp": [
                noon + timedelta(minutes=minute, milliseconds=50 * number)
                for minute in range(len(bad))
                for number in range(asked)
            ],
            "status": [
                "error" if number < each else "success" for each in bad for number in range(asked)
            ],
            "latency_ms": [1.0] * (asked * len(bad)),
        }
    )
    traffic, slo = traffic_of([table]), Slo(name="errors", objective=0.99)
    # What a scrape after each minute sees: all that was counted until then.
    failed = [sum(bad[: minute + 1]) for minute in range(len(bad))]
    well = [asked * (minute + 1) - each for minute, each in enumerate(failed)]
    series = predictions(" ".join(map(str, [0, *well])), " ".join(map(str, [0, *failed])))
    questions, found = [], []
    for minute in range(10, len(bad), 15):
        burning = budget_of(slo, traffic, noon + timedelta(minutes=minute)).burning == "critical"
        found.append(burning)
        questions.append(
            {
                "expr": 'count(ALERTS{alertname="ErrorBudgetBurnsFast",alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if burning else [],
            }
        )

    assert {True, False} == set(found)
    given = [{"series": name, "values": values} for name, values in series.items()]
    checked(
        needed(rules, "ErrorBudgetBurnsFast", tmp_path),
        tmp_path,
        {"interval": "1m", "input_series": given, "promql_expr_test": questions},
    )


def test_given_a_model_with_objectives_of_its_own_when_exported_then_the_others_keep_theirs(
    tmp_path: Path,
) -> None:
    settings = Settings.model_validate(
        {"models": {"risk": {"slo": {"errors": 0.5}, "health": {"latency_p95_ms": 250.0}}}}
    )
    path = tmp_path / "alerts.yml"
    path.write_text(exported(settings.surroundings())["alerts.yml"])
    other = {name.replace("risk", "other"): values
             for name, values in predictions("0+80x90", "0+20x90").items()}  # fmt: skip
    series = {**predictions("0+80x90", "0+20x90"), **other}
    given = [{"series": name, "values": values} for name, values in series.items()]
    question = {
        "expr": 'count by (model) (ALERTS{alertname="ErrorBudgetBurnsFast",alertstate="firing"})',
        "eval_time": "80m",
        "exp_samples": [{"labels": '{model="other"}', "value": 1}],
    }
    checked(
        path, tmp_path, {"interval": "1m", "input_series": given, "promql_expr_test": [question]}
    )
    odd = {"models": {"risk": {"health": {"latency_p95_ms": 333.0}}}}
    with pytest.raises(ConfigError, match="latency_p95_ms"):
        Settings.model_validate(odd).surroundings()
