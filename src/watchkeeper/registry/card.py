"""The model card: what is known of a version, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from watchkeeper.registry.versions import ModelVersion
from watchkeeper.results import plain

__all__ = ["card_of"]


def card_of(version: ModelVersion, words: str, history: Sequence[Mapping[str, Any]]) -> str:
    """Return the card of a version: the registered text, then what the registry knows.

    Parameters
    ----------
    version : ModelVersion
    words : str
        The registered text, in Markdown.
    history : sequence of mappings
        Entries of the audit trail.

    Returns
    -------
    str
    """
    parts = [f"# {version.model_id}", version.description, words.strip()]
    parts.append(_table(("", ""), _facts(version)))
    if version.metrics:
        on = version.lineage.evaluated_on
        parts += [
            f"## Metrics{f' on {on}' if on else ''}",
            _table(("metric", "value"), version.metrics.items()),
        ]
    if version.signature is not None:
        rows = [
            (feature.name, feature.type, "yes" if feature.nullable else "no")
            for feature in version.signature.features
        ]
        parts += ["## Inputs", _table(("name", "type", "may be null"), rows)]
    lineage = [
        (name.replace("_", " "), _shown(value))
        for name, value in plain(version.lineage).items()
        if value
    ]
    if lineage:
        parts += ["## Where it comes from", _table(("", ""), lineage)]
    files = [(name, about["size"], about["sha256"]) for name, about in version.files.items()]
    parts += ["## Files", _table(("name", "bytes", "SHA-256"), files)]
    done = [
        (plain(entry["at"]), entry["action"], entry["actor"], entry["reason"]) for entry in history
    ]
    parts += ["## History", _table(("at", "action", "by", "reason"), done)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(version: ModelVersion) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("status", version.status)]
    if version.aliases:
        facts.append(("aliases", ", ".join(version.aliases)))
    facts.append(("format", f"{version.format}{', which can run code' if version.unsafe else ''}"))
    if version.trusted:
        facts.append(("trusted types", ", ".join(version.trusted)))
    facts += [(name, _shown(value)) for name, value in version.about.items()]
    facts += [(f"tag {name}", value) for name, value in version.tags.items()]
    facts.append(("registered", plain(version.registered_at)))
    return facts


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items()) or "-"
    return str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
