"""``watchkeeper experiments``: A/B tests of versions on real traffic."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import Mode, State
from watchkeeper.identity import By

if TYPE_CHECKING:
    from watchkeeper.experiments.report import ExperimentReport

__all__ = ["commands"]

commands = typer.Typer(help="Compare versions in A/B tests.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
Reason = Annotated[str, typer.Option(help="Kept in the history.")]
Weights = Annotated[
    list[str], typer.Option("--weight", help="ARM=PERCENT of its units; one an arm.")
]


@command(commands)
def create(
    cli: Invocation,
    name: Name,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    arm: Annotated[list[str], typer.Option(help="NAME=VERSION; the first one is the control.")],
    metric: Annotated[
        str,
        typer.Option(
            help="What decides: accuracy, error-rate, latency, score, outcome, absolute-error, "
            "brier-score, slower-than-MS, value:NAME, any:NAME."
        ),
    ] = "accuracy",
    units: Annotated[int | None, typer.Option(help="Planned units of all arms together.")] = None,
    weight: Weights = [],  # noqa: B006 - Typer makes a list of its own
    share: Annotated[float, typer.Option(help="Percent of all units that take part.")] = 100.0,
    guardrail: Annotated[
        list[str], typer.Option(help="METRIC=MARGIN: must not be worse by more; repeatable.")
    ] = [],  # noqa: B006
    secondary: Annotated[list[str], typer.Option(help="Another metric; repeatable.")] = [],  # noqa: B006
    mode: Annotated[
        Mode, typer.Option(help="When a verdict may be given.")
    ] = Mode.GROUP_SEQUENTIAL,
    looks: Annotated[int, typer.Option(help="Planned looks of a group-sequential test.")] = 5,
    alpha: Annotated[float, typer.Option(help="Rate of wrong verdicts without an effect.")] = 0.05,
    maturity: Annotated[
        float, typer.Option(help="Seconds that a unit is watched for before it counts.")
    ] = 86_400.0,
    hypothesis: Annotated[str, typer.Option(help="What you expect, and why.")] = "",
    namespace: Annotated[
        str | None,
        typer.Option(help="NAME=FROM-TO, percent: what shares no unit with other parts of NAME."),
    ] = None,
    holdout: Annotated[
        float, typer.Option(help="Percent of all units that no such experiment has.")
    ] = 0.0,
    target: Annotated[
        list[str], typer.Option(help='A rule, as {"attribute": "carrier", "in": ["UA"]}.')
    ] = [],  # noqa: B006
    override: Annotated[list[str], typer.Option(help="UNIT=ARM, whatever its hash says.")] = [],  # noqa: B006
    hashing: Annotated[
        str, typer.Option(help="sha256, or growthbook-v2 as its SDKs do.")
    ] = "sha256",
    salt: Annotated[str, typer.Option(help="Another one shuffles all units.")] = "",
    reason: Reason = "",
) -> None:
    """Create an experiment on a model; it takes no traffic before it is started."""
    from watchkeeper.experiments.drafting import draft

    made = draft(
        name,
        model,
        dict(_pair(each, "--arm", "NAME=VERSION") for each in arm),
        weights=_numbers(weight, "--weight"),
        share=share,
        metric=metric,
        secondary=secondary,
        guardrails=_numbers(guardrail, "--guardrail"),
        maturity=maturity,
        hypothesis=hypothesis,
        mode=mode,
        alpha=alpha,
        planned_units=units,
        looks=looks,
        namespace=None if namespace is None else _part(namespace),
        holdout=holdout,
        targeting=[_rule(each) for each in target],
        overrides=dict(_pair(each, "--override", "UNIT=ARM") for each in override),
        hashing=hashing,
        salt=salt,
    )
    cli.app.experiments.create(made, by=By(actor(), reason))
    cli.show(
        made.to_dict(), f"{name} is a draft; start it with: watchkeeper experiments start {name}"
    )


@command(commands)
def plan(
    cli: Invocation,
    *,
    baseline: Annotated[float, typer.Option(help="Rate of the control, between 0 and 1.")],
    effect: Annotated[float, typer.Option(help="Smallest relative change that matters.")],
    alpha: Annotated[float, typer.Option(help="Rate of wrong verdicts without an effect.")] = 0.05,
    power: Annotated[float, typer.Option(help="Rate of finding that effect.")] = 0.8,
    treatment_share: Annotated[
        float, typer.Option(help="Share of a treatment among its units and the control's.")
    ] = 0.5,
    treatments: Annotated[int, typer.Option(help="Arms beside the control.")] = 1,
    mode: Annotated[
        Mode, typer.Option(help="When a verdict may be given.")
    ] = Mode.GROUP_SEQUENTIAL,
    looks: Annotated[int, typer.Option(help="Planned looks of a group-sequential test.")] = 5,
    per_day: Annotated[float | None, typer.Option(help="Units a day that take part.")] = None,
) -> None:
    """Tell how many units an experiment on a rate needs, and how long it takes."""
    from watchkeeper.experiments.planning import planned

    found = planned(
        baseline,
        effect,
        alpha=alpha,
        power=power,
        treatment_share=treatment_share,
        treatments=treatments,
        mode=mode,
        looks=looks,
        units_a_day=per_day,
    )
    took = "" if found.days is None else f", {found.days:,.1f} days"
    cli.show(
        found,
        f"{found.units:,} units in all{took}: {found.control:,} of the control and "
        f"{found.treatment:,} of each treatment",
    )


@command(commands)
def start(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Let an experiment take traffic."""
    found = cli.app.experiments.start(name, by=By(actor(), reason))
    shares = ", ".join(
        f"{arm} {points / 100:g} %" for arm, points in found.allocation.weights.items()
    )
    cli.show(found.to_dict(), f"{name} runs: {shares}")


@command(commands)
def weights(
    cli: Invocation,
    name: Name,
    *,
    weight: Weights = [],  # noqa: B006
    share: Annotated[float | None, typer.Option(help="Percent of all units.")] = None,
    reason: Reason = "",
) -> None:
    """Begin another phase with other weights; no comparison crosses two phases."""
    from watchkeeper.experiments import basis_points

    found = cli.app.experiments.change_weights(
        name,
        weights={each: basis_points(own) for each, own in _numbers(weight, "--weight").items()},
        included_bp=None if share is None else basis_points(share),
        by=By(actor(), reason),
    )
    cli.show(found.to_dict(), f"{name} is in phase {found.allocation.phase}")


@command(commands)
def stop(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """End an experiment: production answers again, and the verdict is kept with its evidence."""
    found = cli.app.experiments.stop(name, by=By(actor(), reason))
    cli.show(found, *_shown(found))


@command(commands)
def status(cli: Invocation, name: Name) -> None:
    """Show what an experiment is and how far it has come."""
    found = cli.app.experiments.get(name)
    facts: list[tuple[str, object]] = [
        ("model", found.model),
        ("state", found.state.value),
        ("started", found.started_at),
        ("ended", found.ended_at),
        ("hypothesis", found.hypothesis or None),
        ("metric", found.metric.name),
        ("mode", found.mode.value),
        ("planned units", found.planned_units),
        ("verdict", (found.decision or {}).get("verdict")),
        ("reason", (found.decision or {}).get("reason")),
    ]
    phases = [
        (phase.number, arm, points / 100, phase.included_bp / 100, phase.started_at)
        for phase in found.phases
        for arm, points in phase.weights.items()
    ]
    cli.show(
        found.to_dict(),
        table(["", name], facts),
        table(["phase", "arm", "weight %", "of units %", "since"], phases, title="\nPhases"),
    )


@command(commands)
def report(
    cli: Invocation,
    name: Name,
    *,
    html: Annotated[Path | None, typer.Option(help="Write a page as well.")] = None,
) -> int:
    """Show what an experiment says so far; exit code 1 when it must not be shipped or trusted."""
    from watchkeeper.experiments.decision import Verdict

    found = cli.app.experiment_reports.of(name)
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
    cli.show(found, *_shown(found))
    return BAD if found.decision.verdict in {Verdict.DO_NOT_SHIP, Verdict.INVALID} else 0


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Of one model only.")] = None,
    state: Annotated[State | None, typer.Option(help="In one state only.")] = None,
) -> None:
    """List experiments, the newest first."""
    found = cli.app.experiments.find(model, state)
    rows = [
        (
            each.name,
            each.model,
            each.state.value,
            each.metric.name,
            each.started_at,
            (each.decision or {}).get("verdict"),
        )
        for each in found
    ]
    drawn = table(["experiment", "model", "state", "metric", "started", "verdict"], rows)
    cli.show(
        {"experiments": [each.to_dict() for each in found]},
        drawn if rows else "no experiments yet",
    )


def _shown(found: "ExperimentReport") -> list[Any]:
    rows: list[tuple[object, ...]] = []
    roles = [("decides", own.comparison) for own in found.arms]
    roles += [(f"guardrail: {each.safety.value}", each.comparison) for each in found.guardrails]
    roles += [("secondary", each) for each in found.secondary]
    for role, each in roles:
        own = each.contrast
        p_value = each.p_value if each.adjusted_p_value is None else each.adjusted_p_value
        rows.append(
            (
                each.metric,
                each.arm,
                own.control,
                own.treatment,
                own.difference,
                f"{each.low:+.4g} to {each.high:+.4g}",
                p_value,
                role,
            )
        )
    units = ", ".join(f"{arm} {count:,}" for arm, count in found.units.items())
    columns = ["metric", "arm", "control", "treatment", "difference", "always within", "p", ""]
    return [
        f"{found.decision.verdict.value.replace('_', ' ')}: {found.decision.reason}",
        f"units: {units}; in two arms: {found.multi_exposed:,}",
        table(columns, rows),
        *_believed(found),
        *(f"warning: {each}" for each in found.warnings),
    ]


def _believed(found: "ExperimentReport") -> list[Any]:
    if found.bayesian is None:
        return []
    rows = [
        (arm, f"{each.probability_best:.1%}", each.expected_loss)
        for arm, each in found.bayesian.arms.items()
    ]
    return [
        "for information (Bayesian; it decides nothing, and looking often makes it wrong):",
        table(["arm", "best with probability", "expected loss"], rows),
    ]


def _numbers(given: list[str], option: str) -> dict[str, float]:
    """Return what NAME=NUMBER options say."""
    found = {}
    for each in given:
        name, value = _pair(each, option, "NAME=NUMBER")
        try:
            found[name] = float(value)
        except ValueError:
            raise InvalidValueError(option, each, "a number after the =") from None
    return found


def _pair(given: str, option: str, expected: str) -> tuple[str, str]:
    name, found, value = given.partition("=")
    if not (found and name and value):
        raise InvalidValueError(option, given, expected)
    return name, value


def _part(given: str) -> tuple[str, float, float]:
    """Return what NAME=FROM-TO says."""
    name, part = _pair(given, "--namespace", "NAME=FROM-TO")
    start, _, end = part.partition("-")
    try:
        return name, float(start), float(end)
    except ValueError:
        raise InvalidValueError("--namespace", given, "NAME=FROM-TO, two percentages") from None


def _rule(given: str) -> dict[str, Any]:
    try:
        found = json.loads(given)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidValueError(
            "--target", given, 'a rule as JSON: {"attribute": "carrier", "in": ["UA"]}'
        )
    return found
