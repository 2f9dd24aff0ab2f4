"""Lineage of the versions of a model, as a graph."""

from collections.abc import Mapping
from datetime import UTC, datetime

from watchkeeper.charts import Edge, Graph, Node, NodeState
from watchkeeper.registry import ModelRegistry, ModelVersion, Status
from watchkeeper.retraining.candidate import RETRAINING

__all__ = ["BACK", "NEWEST", "descent"]

_EVER = datetime.min.replace(tzinfo=UTC)
NEWEST, BACK = 12, 4
"""Versions that are drawn in any case, and the number of generations of ancestors."""

_MOST, _WINDOW = 60, 100
_STATES: dict[Status, NodeState] = {
    Status.PRODUCTION: "good",
    Status.STAGING: "info",
    Status.REGISTERED: "",
    Status.ARCHIVED: "mute",
}


def descent(registry: ModelRegistry, model: str, champion: ModelVersion | None) -> Graph:
    """Return the newest versions and the one in production, with their ancestors.

    A model with thousands of versions has more than a graph can show, so the rest is omitted.

    Parameters
    ----------
    registry : ModelRegistry
    model : str
    champion : ModelVersion or None
        None where nothing is in production.

    Returns
    -------
    Graph
    """
    window = registry.list_models(model_name=model, limit=_WINDOW)
    versions = {version.model_id: version for version in window}
    graph: dict[str, ModelVersion | None] = {}
    for version in [*([] if champion is None else [champion]), *window[:NEWEST]]:
        _trace(registry, version, versions, graph)
    nodes = [_node(name, version, model) for name, version in sorted(graph.items(), key=_age)]
    edges = [
        Edge(version.lineage.parent, name, _came_of(version))
        for name, version in graph.items()
        if version is not None and version.lineage.parent in graph
    ]
    title = f"Lineage of {model}"
    return Graph(title=title, nodes=nodes, edges=edges)


def _trace(
    registry: ModelRegistry,
    version: ModelVersion,
    versions: Mapping[str, ModelVersion],
    graph: dict[str, ModelVersion | None],
) -> None:
    """Add a version and its ancestors; of one that is gone, or elsewhere, only the name."""
    ancestor: ModelVersion | None = version
    for _ in range(BACK + 1):
        if ancestor is None or len(graph) >= _MOST:
            return
        graph[ancestor.model_id] = ancestor
        parent = ancestor.lineage.parent
        if not parent or parent in graph:
            return
        name, _, number = parent.partition(":")
        ancestor = versions.get(parent) or registry.find(name, number)
        if ancestor is None:
            graph[parent] = None


def _age(item: tuple[str, ModelVersion | None]) -> tuple[bool, datetime, str]:
    """Return by what nodes are sorted: the oldest first, and before it what is not known."""
    name, version = item
    return version is not None, _EVER if version is None else version.registered_at, name


def _node(name: str, version: ModelVersion | None, model: str) -> Node:
    label = name.removeprefix(f"{model}:")
    if version is None:
        return Node(name, label, "not in the registry", "mute")
    note = f"{version.status.value}, {version.registered_at:%d %b %Y}"
    href = f"/models/{version.model_name}/versions/{version.version}"
    return Node(name, label, note, _STATES[version.status], href)


def _came_of(version: ModelVersion) -> str:
    run = version.tags.get(RETRAINING)
    if not run:
        return ""
    # What is drawn has room for a few letters: the time in the name of the run says most.
    return f"{run.removeprefix(f'{version.model_name}-')}: retraining {run}"
