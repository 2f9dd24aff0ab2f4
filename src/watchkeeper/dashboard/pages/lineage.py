"""Where the versions of a model come from, as a graph."""

from collections.abc import Mapping
from datetime import UTC, datetime

from watchkeeper.charts import Edge, Graph, Node, NodeState
from watchkeeper.registry import ModelRegistry, ModelVersion, Status
from watchkeeper.retraining.candidate import RETRAINING

__all__ = ["BACK", "NEWEST", "descent"]

_EVER = datetime.min.replace(tzinfo=UTC)
NEWEST, BACK = 12, 4
"""Versions that are drawn in any case, and how many generations of what they were made from."""

_MOST, _WINDOW = 60, 100
_STATES: dict[Status, NodeState] = {
    Status.PRODUCTION: "good",
    Status.STAGING: "info",
    Status.REGISTERED: "",
    Status.ARCHIVED: "mute",
}


def descent(registry: ModelRegistry, model: str, champion: ModelVersion | None) -> Graph:
    """Return the newest versions and the one in production, with what they were made from.

    A model with thousands of versions has more than anybody can look at, so the rest is left out.
    """
    window = registry.list_models(model_name=model, limit=_WINDOW)
    known = {each.model_id: each for each in window}
    found: dict[str, ModelVersion | None] = {}
    for each in [*([] if champion is None else [champion]), *window[:NEWEST]]:
        _trace(registry, each, known, found)
    nodes = [_node(name, each, model) for name, each in sorted(found.items(), key=_age)]
    edges = [
        Edge(each.lineage.parent, name, _came_of(each))
        for name, each in found.items()
        if each is not None and each.lineage.parent in found
    ]
    title = f"Where the versions of {model} come from"
    return Graph(title=title, nodes=nodes, edges=edges)


def _trace(
    registry: ModelRegistry,
    version: ModelVersion,
    known: Mapping[str, ModelVersion],
    found: dict[str, ModelVersion | None],
) -> None:
    """Add a version and its ancestors; of one that is gone, or elsewhere, only the name."""
    each: ModelVersion | None = version
    for _ in range(BACK + 1):
        if each is None or len(found) >= _MOST:
            return
        found[each.model_id] = each
        parent = each.lineage.parent
        if not parent or parent in found:
            return
        name, _, own = parent.partition(":")
        each = known.get(parent) or registry.find(name, own)
        if each is None:
            found[parent] = None


def _age(item: tuple[str, ModelVersion | None]) -> tuple[bool, datetime, str]:
    """Return by what nodes are sorted: the oldest first, and before it what is not known."""
    name, version = item
    return version is not None, _EVER if version is None else version.registered_at, name


def _node(name: str, version: ModelVersion | None, model: str) -> Node:
    label = name.removeprefix(f"{model}:")
    if version is None:
        return Node(name, label, "not in the registry", "mute")
    told = f"{version.status.value}, {version.registered_at:%d %b %Y}"
    href = f"/models/{version.model_name}/versions/{version.version}"
    return Node(name, label, told, _STATES[version.status], href)


def _came_of(version: ModelVersion) -> str:
    run = version.tags.get(RETRAINING)
    if not run:
        return ""
    # What is drawn has room for a few letters: the time in the name of the run says most.
    return f"{run.removeprefix(f'{version.model_name}-')}: retraining {run}"
