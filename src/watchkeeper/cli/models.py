"""``watchkeeper models``: the registry from the command line."""

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.command import BAD, Invocation, actor, command, table
from watchkeeper.errors import IntegrityError, InvalidValueError, NotFoundError
from watchkeeper.identity import By

if TYPE_CHECKING:
    from watchkeeper.registry import Lineage, ModelVersion

__all__ = ["commands"]

commands = typer.Typer(
    help="Register, promote, roll back and compare model versions.", no_args_is_help=True
)

ModelId = Annotated[str, typer.Argument(help="NAME:VERSION or NAME@ALIAS.", metavar="MODEL_ID")]
Name = Annotated[str, typer.Argument(help="Name of the model.")]
TrackingUri = Annotated[
    str | None, typer.Option(help="MLflow's tracking server or database; MLflow's own by default.")
]
Reason = Annotated[str, typer.Option(help="The reason, stored in the history.")]


@command(commands, "list")
def list_(
    cli: Invocation,
    *,
    model: Annotated[str | None, typer.Option(help="Show only this model.")] = None,
    status: Annotated[str | None, typer.Option(help="Show only this status.")] = None,
) -> None:
    """List versions, the newest first."""
    versions = cli.app.registry.list_models(status, model)
    drawn = table(
        ["model id", "status", "format", "metrics", "registered"],
        [
            (
                version.model_id,
                version.status,
                version.format,
                _metrics(version),
                version.registered_at,
            )
            for version in versions
        ],
    )
    cli.show({"models": versions}, drawn if versions else "no models yet")


@command(commands)
def show(cli: Invocation, model_id: ModelId) -> None:
    """Show a version and its history."""
    version = cli.app.registry.get(model_id)
    history = cli.app.registry.history(version.model_name, version.version)
    facts = [(name, _shown(value)) for name, value in version.items() if name != "files"]
    done = [(entry["at"], entry["action"], entry["actor"], entry["reason"]) for entry in history]
    cli.show(
        {**version, "history": history},
        table(["", version.model_id], facts),
        table(["at", "action", "by", "reason"], done, title="\nHistory"),
    )


@command(commands)
def register(
    cli: Invocation,
    file: Annotated[
        Path,
        typer.Argument(
            help="A .skops, .onnx, .joblib or .cloudpickle file, an MLflow directory, or a .json "
            "file with the address of the server that computes the model."
        ),
    ],
    *,
    name: Annotated[str, typer.Option(help="Name of the model.")],
    version: Annotated[str, typer.Option(help="Version to register, such as 1.1.0.")],
    metrics: Annotated[
        str, typer.Option(help="Metrics as JSON, such as '{\"accuracy\": 0.9}'.")
    ] = "{}",
    training_data: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet file: the schema and the reference of drift come from it."
        ),
    ] = None,
    trusted: Annotated[
        list[str] | None, typer.Option(help="Type that may be loaded from the file; repeatable.")
    ] = None,
    allow_unsafe: Annotated[
        bool, typer.Option("--allow-unsafe", help="Accept a format that can run code.")
    ] = False,
    description: Annotated[str, typer.Option(help="Description of the version.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Tag as NAME=VALUE; repeatable.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="Markdown file with the intended use of the model.")
    ] = None,
    lineage: Annotated[
        str,
        typer.Option(help='Lineage as JSON, such as \'{"dataset": "june", "parent": "late:1"}\'.'),
    ] = "{}",
) -> None:
    """Register the model in FILE as an immutable version."""
    from watchkeeper.cli.files import read_table

    data = None if training_data is None else read_table(training_data)
    registered = cli.app.models.register_file(
        file,
        name,
        version,
        metrics=_parsed("--metrics", metrics),
        description=description,
        tags=_tags(tag or []),
        training_data=data,
        lineage=_lineage(lineage),
        card="" if card is None else card.read_text(encoding="utf-8"),
        trusted=trusted or (),
        allow_unsafe=allow_unsafe,
        by=By(actor()),
    )
    cli.show(registered, f"{registered.model_id} registered")


@command(commands, "import")
def import_(
    cli: Invocation,
    uri: Annotated[str, typer.Argument(help="models:/NAME/VERSION, runs:/RUN/PATH or a folder.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the model in this registry.")],
    version: Annotated[str, typer.Option(help="Version to register, such as 1.1.0.")],
    tracking_uri: TrackingUri = None,
    trusted: Annotated[
        list[str] | None, typer.Option(help="Type that may be loaded from the file; repeatable.")
    ] = None,
    allow_unsafe: Annotated[
        bool,
        typer.Option("--allow-unsafe", help="Accept pickles and other formats that can run code."),
    ] = False,
) -> None:
    """Import a model from MLflow, with the metrics and parameters of its run."""
    registered = cli.app.models.import_from_mlflow(
        uri, name, version, tracking_uri=tracking_uri, trusted=trusted or (),
        allow_unsafe=allow_unsafe, by=By(actor()),
    )  # fmt: skip
    cli.show(registered, f"{registered.model_id} registered as {registered.format}")


@command(commands)
def export(cli: Invocation, model_id: ModelId, *, tracking_uri: TrackingUri = None) -> None:
    """Export a version to MLflow, as a run with its metrics."""
    uri = cli.app.models.export_to_mlflow(model_id, tracking_uri=tracking_uri, by=By(actor()))
    cli.show({"model_id": model_id, "uri": uri}, f"{model_id} is {uri} in MLflow")


@command(commands)
def promote(cli: Invocation, model_id: ModelId, *, reason: Reason = "") -> None:
    """Promote a version to production; the former one goes to staging."""
    promoted = cli.app.models.promote(model_id, by=By(actor(), reason))
    cli.show(promoted, f"{promoted.model_id} is in production")


@command(commands)
def rollback(
    cli: Invocation,
    name: Name,
    *,
    reason: Reason = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show which version it would be.")
    ] = False,
) -> None:
    """Roll back to the version that was in production before."""
    if dry_run:
        earlier = cli.app.models.rehearse_rollback(name, by=By(actor()))
        current = cli.app.registry.get_production_model(name)
        message = (
            f"{earlier.model_id} would take the place of {current}; its files are as registered"
        )
        cli.show(earlier, message)
        return
    restored = cli.app.models.roll_back(name, by=By(actor(), reason))
    cli.show(restored, f"{restored.model_id} is in production again")


@command(commands)
def archive(cli: Invocation, model_id: ModelId, *, reason: Reason = "") -> None:
    """Archive a version; refused for one that serves or is a rollback target."""
    archived = cli.app.models.archive(model_id, by=By(actor(), reason))
    cli.show(archived, f"{archived.model_id} is archived")


@command(commands)
def delete(cli: Invocation, model_id: ModelId, *, reason: Reason = "") -> None:
    """Delete a version and its files; refused for one that serves or is a rollback target."""
    deleted = cli.app.models.delete(model_id, by=By(actor(), reason))
    cli.show(deleted, f"{deleted.model_id} is deleted; the audit trail keeps its description")


@command(commands)
def alias(
    cli: Invocation,
    model_id: ModelId,
    alias: Annotated[str, typer.Argument(help="The alias, such as challenger.")],
    *,
    reason: Reason = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
) -> None:
    """Set an alias: the version is then also NAME@ALIAS."""
    by = By(actor(), reason)
    version = cli.app.models.get(model_id)
    if remove:
        cli.app.models.remove_alias(version.model_name, alias, by=by)
        message = f"{version.model_name}@{alias} is no more"
    else:
        cli.app.models.set_alias(version.model_id, alias, by=by)
        message = f"{version.model_name}@{alias} is {version.model_id}"
    cli.show(cli.app.models.get(version.model_id), message)


@command(commands)
def diff(cli: Invocation, model_id: ModelId, other: ModelId) -> None:
    """Compare two versions: metrics, inputs, lineage, parameters, format, size."""
    registry = cli.app.registry
    differences = registry.diff(model_id, other)
    names = [registry.get(name).model_id for name in (model_id, other)]
    rows = [
        (
            difference.what,
            *(_shown(value) for value in (difference.before, difference.after, difference.change)),
        )
        for difference in differences
    ]
    drawn = table(["", *names, "change"], rows)
    shown = drawn if differences else f"{names[0]} and {names[1]} do not differ"
    cli.show({"from": names[0], "to": names[1], "differences": differences}, shown)


@command(commands)
def card(cli: Invocation, model_id: ModelId) -> None:
    """Print the model card of a version, in Markdown."""
    written = cli.app.registry.card(model_id)
    cli.show({"model_id": cli.app.registry.get(model_id).model_id, "card": written}, written)


@command(commands)
def history(cli: Invocation, name: Name) -> None:
    """Show the changes of a model's versions: actor, time, reason."""
    entries = cli.app.registry.history(name)
    if not entries:
        raise NotFoundError("registered model", name, "See models list for those there are.")
    rows = [
        (entry["at"], entry["subject"], entry["action"], entry["actor"], entry["reason"])
        for entry in entries
    ]
    cli.show({"history": entries}, table(["at", "version", "action", "by", "reason"], rows))


@command(commands)
def verify(
    cli: Invocation,
    model_id: Annotated[
        str | None, typer.Argument(help="NAME:VERSION; all versions by default.")
    ] = None,
) -> int:
    """Check files against their registered digests; exit code 1 if one differs."""
    registry = cli.app.registry
    ids = [model_id] if model_id else [version.model_id for version in registry.list_models()]
    results: dict[str, str] = {}
    for checked in ids:
        try:
            registry.verify(checked)
        except IntegrityError as error:
            results[checked] = str(error)
        else:
            results[checked] = "ok"
    cli.show({"versions": results}, table(["model id", "files"], list(results.items())))
    return BAD if any(result != "ok" for result in results.values()) else 0


def _parsed(option: str, text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidValueError(option, text, f"JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise InvalidValueError(option, text, "a JSON object")
    return parsed


def _lineage(text: str) -> "Lineage":
    from watchkeeper.registry import Lineage

    described = _parsed("--lineage", text)
    names = [field.name for field in fields(Lineage)]
    unknown = sorted(set(described) - set(names))
    if unknown:
        expected = f"any of {', '.join(names)} (not {', '.join(unknown)})"
        raise InvalidValueError("--lineage", text, expected)
    return Lineage.from_dict(described)


def _tags(options: list[str]) -> dict[str, str]:
    tags = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator or not name:
            raise InvalidValueError("--tag", option, "NAME=VALUE")
        tags[name] = value
    return tags


def _metrics(version: "ModelVersion") -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())


def _shown(value: Any) -> str:
    if value is None or value in ({}, (), ""):
        return "-"
    if hasattr(value, "names"):
        return ", ".join(value.names)
    return str(value)
