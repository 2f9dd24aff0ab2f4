"""What came from what: nodes in layers from left to right, and the arrows between them.

>>> lineage = Graph(
...     title="Lineage of flights 7",
...     nodes=[Node("data", "2026-11", "reference"), Node("v7", "flights 7", "champion", "good")],
...     edges=[Edge("data", "v7", "trained on")],
... )
>>> print(lineage.gist())
2 nodes, 1 edge; 2026-11 → flights 7 (trained on)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from markupsafe import Markup

from watchkeeper.charts.layering import GraphLayout, layered
from watchkeeper.charts.markup import joined, link, number, tag
from watchkeeper.charts.table import Entry, Table
from watchkeeper.charts.text_width import cut, isolated, width_of

__all__ = ["Edge", "Graph", "Node", "NodeState"]

NodeState = Literal["", "good", "bad", "info", "mute"]

_MOST = 60
_WIDTH, _HEIGHT = 168.0, 46.0
_ACROSS, _DOWN = 72.0, 18.0  # between layers, between nodes of one
_MARGIN, _FOOT = 4.0, 22.0
_TEXT = _WIDTH - 28.0


@dataclass(frozen=True, slots=True)
class Node:
    """A thing with a name; its state gives it a colour and a bar at its edge."""

    id: str
    label: str
    sublabel: str = ""
    state: NodeState = ""
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from the node `source` to the node `target`, by their ids."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A directed graph, drawn in its natural size.

    Parameters
    ----------
    title : str
        What the chart shows.
    nodes : sequence of Node
        The first 60 are drawn; the table has all.
    edges : sequence of Edge
        An edge to a node that is not there is in the table only.
    """

    title: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]

    def svg(self) -> Markup:
        """Return the drawing.

        Returns
        -------
        Markup
        """
        plan, drawn = self._plan, self._drawn
        rest = len({node.id for node in self.nodes}) - len(drawn)
        width = 2 * _MARGIN + max(1, plan.layers) * (_WIDTH + _ACROSS) - _ACROSS
        height = 2 * _MARGIN + max(1.0, plan.height) * (_HEIGHT + _DOWN) - _DOWN
        edges = [self._edge(edge) for edge in self.edges if (edge.source, edge.target) in plan.ways]
        nodes = [self._node(node) for node in drawn]
        if not nodes:
            edges.append(tag("text", "no data", x=width / 2, y=height / 2 + 4.0,
                             class_="c-mid c-none"))  # fmt: skip
        if rest:
            more = f"and {rest} more in the table"
            edges.append(tag("text", more, x=_MARGIN, y=height + 14.0, class_="c-key"))
            height += _FOOT
        linked = any("<a " in node for node in nodes)
        return tag(
            "svg", tag("g", *edges, aria_hidden="true") if linked else joined(edges), *nodes,
            class_="graph", viewBox=f"0 0 {number(width)} {number(height)}", width=width,
            height=height, role="group" if linked else "img",
            aria_label=f"{self.title}: {self.gist()}" if self.title else self.gist(),
        )  # fmt: skip

    def table(self) -> Table:
        """Return the graph as a list: each node, then what it leads to, a row for each edge.

        Returns
        -------
        Table
        """
        after: dict[str, list[Edge]] = {}
        for edge in self.edges:
            after.setdefault(edge.source, []).append(edge)
        names = {node.id: node.label for node in self.nodes}
        rows: list[tuple[Entry, ...]] = []
        for node in self.nodes:
            cells = (node.label, node.sublabel, node.state)
            leading = after.pop(node.id, [])
            rows += [(*cells, e.label, names.get(e.target, e.target)) for e in leading]
            if not leading:
                rows.append((*cells, "", ""))
        for edges in after.values():
            rows += [(e.source, "", "", e.label, names.get(e.target, e.target)) for e in edges]
        return Table(columns=("node", "details", "state", "edge", "leads to"), rows=rows)

    def gist(self) -> str:
        """Return what one sees at a glance, in words.

        Returns
        -------
        str
        """
        if not self.nodes:
            return "no data"
        names = {node.id: isolated(node.label) for node in self.nodes}
        nodes, edges = len(self.nodes), len(self.edges)
        sentences = [f"{nodes} node{'s' * (nodes != 1)}, {edges} edge{'s' * (edges != 1)}"]
        for edge in self.edges[:6]:
            source, target = (names.get(end, isolated(end)) for end in (edge.source, edge.target))
            sentences.append(
                f"{source} → {target}" + (f" ({isolated(edge.label)})" if edge.label else "")
            )
        if edges > 6:
            sentences.append(f"{edges - 6} more in the table")
        return "; ".join(sentences)

    @cached_property
    def _drawn(self) -> list[Node]:
        """The nodes that are drawn, the first of each id."""
        first: dict[str, Node] = {}
        for node in self.nodes:
            first.setdefault(node.id, node)
        return list(first.values())[:_MOST]

    @cached_property
    def _plan(self) -> GraphLayout:
        return layered(
            [node.id for node in self._drawn], [(e.source, e.target) for e in self.edges]
        )

    def _at(self, name: str) -> tuple[float, float]:
        """Return the left end and the middle height of a node."""
        return self._x_of(self._plan.layer[name]), self._level(self._plan.y[name])

    def _x_of(self, layer: int) -> float:
        return _MARGIN + layer * (_WIDTH + _ACROSS)

    def _level(self, y: float) -> float:
        return _MARGIN + y * (_HEIGHT + _DOWN) - _DOWN / 2

    def _node(self, node: Node) -> Markup:
        x, middle = self._at(node.id)
        y = middle - _HEIGHT / 2
        state = f" c-node-{node.state}" if node.state else ""
        label, below = cut(node.label, _TEXT) or "(no name)", cut(node.sublabel, _TEXT, 11.0)
        whole = " · ".join(part for part in (node.label, node.sublabel, node.state) if part)
        parts = [
            tag("title", whole or "(no name)"),
            tag("rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=6.0, class_=f"c-node{state}"),
            tag("text", label, x=x + 14.0, y=middle + (-3.0 if below else 4.0), class_="c-major"),
        ]
        if node.state:
            parts.append(tag("rect", x=x + 5.0, y=y + 8.0, width=3.0, height=_HEIGHT - 16.0, rx=1.5,
                             class_=f"c-flag{state}"))  # fmt: skip
        if below:
            parts.append(tag("text", below, x=x + 14.0, y=middle + 13.0, class_="c-key"))
        return link(node.href, tag("g", *parts))

    def _edge(self, edge: Edge) -> Markup:
        (x, y), (to_x, to_y) = self._at(edge.source), self._at(edge.target)
        layer, target = self._plan.layer[edge.source], self._plan.layer[edge.target]
        backward = target < layer
        bends = self._plan.ways[edge.source, edge.target]
        step = -1 if backward else 1
        points = [(x if backward else x + _WIDTH, y)]
        for at, bend in enumerate(bends):
            left, level = self._x_of(layer + step * (at + 1)), self._level(bend)
            ends = [(left, level), (left + _WIDTH, level)]
            points += ends[::step]
        tip = (to_x + _WIDTH + 1.0, to_y) if backward else (to_x - 1.0, to_y)
        points.append((tip[0] - 6.0 * step, tip[1]))
        path = [f"M{number(points[0][0])} {number(points[0][1])}"]
        for index in range(len(points) - 1):
            (x1, y1), (x2, y2) = points[index], points[index + 1]
            if index % 2:
                path.append(f"L{number(x2)} {number(y2)}")
            else:
                middle = number((x1 + x2) / 2)
                path.append(
                    f"C{middle} {number(y1)} {middle} {number(y2)} {number(x2)} {number(y2)}"
                )
        head = f"M{number(tip[0])} {number(tip[1])}l{-7 * step} -4v8z"
        parts = [tag("path", d="".join(path), class_="c-edge" + " c-back" * backward),
                 tag("path", d=head, class_="c-head")]  # fmt: skip
        if edge.label:
            parts.insert(0, tag("title", edge.label))
            text = cut(edge.label, _ACROSS - 16.0, 10.0)
            at_x, at_y = (points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2
            if width_of(text, 10.0) > 12:
                parts.append(tag("text", text, x=at_x, y=at_y - 4.0, class_="c-mid c-edge-label"))
        return tag("g", *parts)
