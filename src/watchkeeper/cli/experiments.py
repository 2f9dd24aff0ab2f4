"""``watchkeeper experiments``: A/B tests of versions on real traffic."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import InvalidValueError
from watchkeeper.experiments import ExperimentState, Mode
from watchkeeper.identity import By

if TYPE_CHECKING:
    from watchkeeper.experiments.report import ExperimentReport

__all__ = ["commands"]

commands = typer.Typer(help="Compare versions in A/B tests.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
Reason = Annotated[str, typer.Option(help="The reason, stored in the history.")]
Weights = Annotated[
    list[str], typer.Option("--weight", help="VARIANT=PERCENT of the units; once for each variant.")
]
Arm = Annotated[list[str], typer.Option(help="NAME=VERSION; the first one is the control.")]
Metric = Annotated[
    str,
    typer.Option(
        help="Goal metric: accuracy, error-rate, latency, score, outcome, absolute-error, "
        "brier-score, slower-than-MS, value:NAME, any:NAME."
    ),
]
Units = Annotated[int | None, typer.Option(help="Planned units of all variants together.")]
Coverage = Annotated[float, typer.Option(help="Percent of all units that are included (0 to 100).")]
Guardrail = Annotated[
    list[str],
    typer.Option(help="Guardrail metric: METRIC=MARGIN, the non-inferiority margin; repeatable."),
]
Secondary = Annotated[list[str], typer.Option(help="Secondary metric; repeatable.")]
DecisionMode = Annotated[Mode, typer.Option(help="When a result may be decided.")]
Looks = Annotated[int, typer.Option(help="Planned interim analyses of a group-sequential test.")]
Alpha = Annotated[float, typer.Option(help="Significance level of the goal metric (0 to 1).")]
ConversionWindow = Annotated[
    float, typer.Option(help="Seconds after a unit's first exposure in which its outcomes count.")
]
Namespace = Annotated[
    str | None,
    typer.Option(
        help="NAME=FROM-TO in percent: a range of the namespace NAME; no other range has its units."
    ),
]
Holdout = Annotated[
    float, typer.Option(help="Percent of all units that every such experiment leaves out.")
]
Target = Annotated[
    list[str], typer.Option(help='Targeting rule, such as {"attribute": "carrier", "in": ["UA"]}.')
]
Override = Annotated[
    list[str], typer.Option(help="UNIT=VARIANT: the unit gets this variant, whatever its hash.")
]
Hashing = Annotated[
    str, typer.Option(help="Hash function: sha256, or growthbook-v2 for GrowthBook's SDKs.")
]


@command(commands)
def create(
    cli: Invocation,
    name: Name,
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    arm: Arm,
    metric: Metric = "accuracy",
    units: Units = None,
    weight: Weights = [],  # noqa: B006 - Typer makes a list of its own
    coverage: Coverage = 100.0,
    guardrail: Guardrail = [],  # noqa: B006
    secondary: Secondary = [],  # noqa: B006
    mode: DecisionMode = Mode.GROUP_SEQUENTIAL,
    looks: Looks = 5,
    alpha: Alpha = 0.05,
    conversion_window: ConversionWindow = 86_400.0,
    hypothesis: Annotated[str, typer.Option(help="Expected effect, and the reason for it.")] = "",
    namespace: Namespace = None,
    holdout: Holdout = 0.0,
    target: Target = [],  # noqa: B006
    override: Override = [],  # noqa: B006
    hashing: Hashing = "sha256",
    salt: Annotated[
        str, typer.Option(help="Salt of the hash; another salt assigns all units anew.")
    ] = "",
    reason: Reason = "",
) -> None:
    """Create an experiment on a model; it takes no traffic before it is started."""
    from watchkeeper.experiments.drafting import draft

    drafted = draft(
        name,
        model,
        dict(_pair(option, "--arm", "NAME=VERSION") for option in arm),
        weights=_numbers(weight, "--weight"),
        coverage=coverage,
        metric=metric,
        secondary=secondary,
        guardrails=_numbers(guardrail, "--guardrail"),
        conversion_window=conversion_window,
        hypothesis=hypothesis,
        mode=mode,
        alpha=alpha,
        planned_units=units,
        looks=looks,
        namespace=None if namespace is None else _part(namespace),
        holdout=holdout,
        targeting=[_rule(rule) for rule in target],
        overrides=dict(_pair(option, "--override", "UNIT=ARM") for option in override),
        hashing=hashing,
        salt=salt,
    )
    cli.app.experiments.create(drafted, by=By(actor(), reason))
    cli.show(
        drafted.to_dict(), f"{name} is a draft; start it with: watchkeeper experiments start {name}"
    )


@command(commands)
def plan(
    cli: Invocation,
    *,
    baseline: Annotated[float, typer.Option(help="Rate of the control (0 to 1).")],
    effect: Annotated[
        float, typer.Option(help="Minimum detectable effect, relative to the control.")
    ],
    alpha: Alpha = 0.05,
    power: Annotated[
        float, typer.Option(help="Power: probability of detecting that effect (0 to 1).")
    ] = 0.8,
    treatment_share: Annotated[
        float,
        typer.Option(help="Share of the treatment in the units of treatment and control (0 to 1)."),
    ] = 0.5,
    treatments: Annotated[int, typer.Option(help="Number of variants besides the control.")] = 1,
    mode: DecisionMode = Mode.GROUP_SEQUENTIAL,
    looks: Looks = 5,
    per_day: Annotated[float | None, typer.Option(help="Included units per day.")] = None,
) -> None:
    """Compute the sample size and the duration of an experiment on a rate."""
    from watchkeeper.experiments.planning import planned

    planning = planned(
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
    took = "" if planning.days is None else f", {planning.days:,.1f} days"
    cli.show(
        planning,
        f"{planning.units:,} units in all{took}: {planning.control:,} of the control and "
        f"{planning.treatment:,} of each treatment",
    )


@command(commands)
def start(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Start an experiment: it gets traffic from now on."""
    experiment = cli.app.experiments.start(name, by=By(actor(), reason))
    shares = ", ".join(
        f"{arm} {points / 100:g} %" for arm, points in experiment.allocation.weights.items()
    )
    cli.show(experiment.to_dict(), f"{name} runs: {shares}")


@command(commands)
def weights(
    cli: Invocation,
    name: Name,
    *,
    weight: Weights = [],  # noqa: B006
    coverage: Annotated[
        float | None, typer.Option(help="Percent of all units that are included (0 to 100).")
    ] = None,
    reason: Reason = "",
) -> None:
    """Begin a new phase with other weights; phases are compared separately."""
    from watchkeeper.experiments import basis_points

    experiment = cli.app.experiments.change_weights(
        name,
        weights={
            arm: basis_points(percent) for arm, percent in _numbers(weight, "--weight").items()
        },
        included_bp=None if coverage is None else basis_points(coverage),
        by=By(actor(), reason),
    )
    cli.show(experiment.to_dict(), f"{name} is in phase {experiment.allocation.phase}")


@command(commands)
def stop(cli: Invocation, name: Name, *, reason: Reason = "") -> None:
    """Stop an experiment: production gets all traffic, and the result is stored."""
    final = cli.app.experiments.stop(name, by=By(actor(), reason))
    cli.show(final, *_shown(final))


@command(commands)
def status(cli: Invocation, name: Name) -> None:
    """Show an experiment and its progress."""
    experiment = cli.app.experiments.get(name)
    facts: list[tuple[str, object]] = [
        ("model", experiment.model),
        ("state", experiment.state.value),
        ("started", experiment.started_at),
        ("ended", experiment.ended_at),
        ("hypothesis", experiment.hypothesis or None),
        ("metric", experiment.metric.name),
        ("mode", experiment.mode.value),
        ("planned units", experiment.planned_units),
        ("verdict", (experiment.decision or {}).get("verdict")),
        ("reason", (experiment.decision or {}).get("reason")),
    ]
    phases = [
        (phase.number, arm, points / 100, phase.included_bp / 100, phase.started_at)
        for phase in experiment.phases
        for arm, points in phase.weights.items()
    ]
    cli.show(
        experiment.to_dict(),
        table(["", name], facts),
        table(["phase", "arm", "weight %", "coverage %", "since"], phases, title="\nPhases"),
    )


@command(commands)
def report(
    cli: Invocation,
    name: Name,
    *,
    html: Annotated[
        Path | None, typer.Option(help="Also write the report as an HTML page.")
    ] = None,
) -> int:
    """Show the result so far; exit code 1 if it is do_not_ship or invalid."""
    from watchkeeper.experiments.decision import Verdict

    current = cli.app.experiment_reports.of(name)
    if html is not None:
        html.write_text(current.to_html(), encoding="utf-8")
    cli.show(current, *_shown(current))
    return BAD if current.decision.verdict in {Verdict.DO_NOT_SHIP, Verdict.INVALID} else 0


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    state: Annotated[ExperimentState | None, typer.Option(help="Show only this state.")] = None,
) -> None:
    """List experiments, the newest first."""
    experiments = cli.app.experiments.find(model, state)
    rows = [
        (
            experiment.name,
            experiment.model,
            experiment.state.value,
            experiment.metric.name,
            experiment.started_at,
            (experiment.decision or {}).get("verdict"),
        )
        for experiment in experiments
    ]
    drawn = table(["experiment", "model", "state", "metric", "started", "verdict"], rows)
    cli.show(
        {"experiments": [experiment.to_dict() for experiment in experiments]},
        drawn if rows else "no experiments yet",
    )


def _shown(shown: "ExperimentReport") -> list[Any]:
    rows: list[tuple[object, ...]] = []
    roles = [("decides", arm.comparison) for arm in shown.arms]
    roles += [
        (f"guardrail: {guardrail.safety.value}", guardrail.comparison)
        for guardrail in shown.guardrails
    ]
    roles += [("secondary", comparison) for comparison in shown.secondary]
    for role, comparison in roles:
        contrast = comparison.contrast
        p_value = (
            comparison.p_value
            if comparison.adjusted_p_value is None
            else comparison.adjusted_p_value
        )
        rows.append(
            (
                comparison.metric,
                comparison.arm,
                contrast.control,
                contrast.treatment,
                contrast.difference,
                f"{comparison.low:+.4g} to {comparison.high:+.4g}",
                p_value,
                role,
            )
        )
    units = ", ".join(f"{arm} {count:,}" for arm, count in shown.units.items())
    columns = ["metric", "arm", "control", "treatment", "difference", "always within", "p", ""]
    return [
        f"{shown.decision.verdict.value.replace('_', ' ')}: {shown.decision.reason}",
        f"units: {units}; exposed to two variants: {shown.multi_exposed:,}",
        table(columns, rows),
        *_believed(shown),
        *(f"warning: {warning}" for warning in shown.warnings),
    ]


def _believed(shown: "ExperimentReport") -> list[Any]:
    if shown.bayesian is None:
        return []
    rows = [
        (arm, f"{posterior.probability_best:.1%}", posterior.expected_loss)
        for arm, posterior in shown.bayesian.arms.items()
    ]
    return [
        "for information (Bayesian; it decides nothing, and looking often makes it wrong):",
        table(["arm", "best with probability", "expected loss"], rows),
    ]


def _numbers(options: list[str], option: str) -> dict[str, float]:
    """Return what NAME=NUMBER options say."""
    numbers = {}
    for text in options:
        name, value = _pair(text, option, "NAME=NUMBER")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise InvalidValueError(option, text, "a number after the =") from None
    return numbers


def _pair(text: str, option: str, expected: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name and value):
        raise InvalidValueError(option, text, expected)
    return name, value


def _part(text: str) -> tuple[str, float, float]:
    """Return what NAME=FROM-TO says."""
    name, part = _pair(text, "--namespace", "NAME=FROM-TO")
    start, _, end = part.partition("-")
    try:
        return name, float(start), float(end)
    except ValueError:
        raise InvalidValueError("--namespace", text, "NAME=FROM-TO, two percentages") from None


def _rule(text: str) -> dict[str, Any]:
    try:
        rule = json.loads(text)
    except ValueError:
        rule = None
    if not isinstance(rule, dict):
        raise InvalidValueError(
            "--target", text, 'a rule as JSON: {"attribute": "carrier", "in": ["UA"]}'
        )
    return rule
