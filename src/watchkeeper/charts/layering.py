"""Where the nodes of a directed graph go when it is drawn in layers from left to right.

Pure arithmetic on names. An edge that spans several layers gets a bend in each of them, so that
it passes between the nodes there and not behind them.

>>> plan = layered(["data", "model", "alias"], [("data", "model"), ("model", "alias")])
>>> [plan.layer[name] for name in ("data", "model", "alias")]
[0, 1, 2]

References
----------
Sugiyama, Tagawa and Toda (1981), IEEE Trans. SMC 11(2), 109-125: layers, order by barycentres.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["GraphLayout", "layered"]

Edge = tuple[str, str]
_Item = str | tuple[str, str, int]  # a node, or the bend of an edge in a layer

_SWEEPS, _SETTLE = 6, 12
_BEND = 0.45  # of the room of a node


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """A place for each node and each edge, in units of one node with its gap.

    Parameters
    ----------
    layer : mapping of str to int
        From the left.
    y : mapping of str to float
        Middle of each node, from the top; at least 0.5.
    ways : mapping of (str, str) to tuple of float
        For each edge that is drawn, the heights of its bends in the layers between its ends, from
        its source on.
    layers : int
        How many there are.
    height : float
        Of the whole.
    """

    layer: Mapping[str, int]
    y: Mapping[str, float]
    ways: Mapping[Edge, tuple[float, ...]]
    layers: int
    height: float


def layered(nodes: Sequence[str], edges: Iterable[Edge]) -> GraphLayout:
    """Return where everything goes; the same graph always goes to the same places.

    Parameters
    ----------
    nodes : sequence of str
        In the order that decides where all else is equal.
    edges : iterable of (str, str)
        From source to target. Those to nodes that are not there, and from a node to itself, are
        left out; those that close a circle run backwards.

    Returns
    -------
    GraphLayout
    """
    numbered = dict.fromkeys(nodes)
    links_ = [
        e for e in dict.fromkeys(edges) if e[0] in numbered and e[1] in numbered and e[0] != e[1]
    ]
    forward = {edge: edge for edge in links_}
    for edge in _closing(list(numbered), links_):
        forward[edge] = (edge[1], edge[0])
    layer = _layers(list(numbered), set(forward.values()))
    chains = {edge: _chain(*forward[edge], layer) for edge in links_}
    rows: list[list[_Item]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in numbered:
        rows[layer[name]].append(name)
    for bend in dict.fromkeys(item for chain in chains.values() for item in chain[1:-1]):
        rows[int(bend[2])].append(bend)
    links = {pair for chain in chains.values() for pair in pairwise(chain)}
    heights = _settled(_ordered(rows, links), links)
    top = min((y - _room(item) / 2 for item, y in heights.items()), default=0.0)
    low = max((y + _room(item) / 2 for item, y in heights.items()), default=0.0)
    ways = {}
    for edge, chain in chains.items():
        bends = tuple(heights[bend] - top for bend in chain[1:-1])
        ways[edge] = bends if forward[edge] == edge else bends[::-1]
    y = {name: heights[name] - top for name in numbered}
    return GraphLayout(layer=layer, y=y, ways=ways, layers=len(rows), height=low - top)


def _closing(nodes: list[str], edges: list[Edge]) -> list[Edge]:
    """Return the edges that lead back to where a walk along the others came from."""
    after: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    state: dict[str, int] = {}
    closing = []
    for root in nodes:
        if root in state:
            continue
        state[root] = 1
        walk = [(root, iter(after[root]))]
        while walk:
            node, ahead = walk[-1]
            for target in ahead:
                if state.get(target) == 1:
                    closing.append((node, target))
                elif target not in state:
                    state[target] = 1
                    walk.append((target, iter(after[target])))
                    break
            else:
                state[node] = 2
                walk.pop()
    return closing


def _layers(nodes: list[str], edges: set[Edge]) -> dict[str, int]:
    """Return the length of the longest way to each node; sources move up to what they feed."""
    after: dict[str, list[str]] = defaultdict(list)
    before = dict.fromkeys(nodes, 0)
    for source, target in sorted(edges):
        after[source].append(target)
        before[target] += 1
    sources = [node for node in nodes if before[node] == 0]
    layer = dict.fromkeys(nodes, 0)
    ready = list(sources)
    while ready:
        node = ready.pop()
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            before[target] -= 1
            if before[target] == 0:
                ready.append(target)
    for node in sources:
        if after[node]:
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer


def _chain(source: str, target: str, layer: Mapping[str, int]) -> list[_Item]:
    bends = [(source, target, at) for at in range(layer[source] + 1, layer[target])]
    return [source, *bends, target]


def _ordered(rows: list[list[_Item]], links: set[tuple[_Item, _Item]]) -> list[list[_Item]]:
    """Return the layers with their items in an order in which few links cross."""
    left, right = _neighbours(links)
    best, fewest = [list(row) for row in rows], _crossings(rows, right)
    for sweep in range(_SWEEPS):
        sides = left if sweep % 2 == 0 else right
        indices = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for index in indices:
            other = rows[index - 1 if sweep % 2 == 0 else index + 1]
            position = {item: at for at, item in enumerate(other)}
            centre = {
                item: _mean([position[near] for near in sides[item]], at)
                for at, item in enumerate(rows[index])
            }
            rows[index] = sorted(rows[index], key=centre.__getitem__)
        crossings = _crossings(rows, right)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _neighbours(
    links: set[tuple[_Item, _Item]],
) -> tuple[dict[_Item, list[_Item]], dict[_Item, list[_Item]]]:
    left: dict[_Item, list[_Item]] = defaultdict(list)
    right: dict[_Item, list[_Item]] = defaultdict(list)
    for source, target in sorted(links, key=str):
        right[source].append(target)
        left[target].append(source)
    return left, right


def _crossings(rows: list[list[_Item]], right: Mapping[_Item, list[_Item]]) -> int:
    count = 0
    for row, following in pairwise(rows):
        position = {item: at for at, item in enumerate(following)}
        ends = [
            position[near] for item in row for near in sorted(right[item], key=position.__getitem__)
        ]
        count += sum(1 for i, end in enumerate(ends) for other in ends[i + 1 :] if other < end)
    return count


def _settled(rows: list[list[_Item]], links: set[tuple[_Item, _Item]]) -> dict[_Item, float]:
    """Return heights near those of the neighbours, in the given order and without overlap."""
    left, right = _neighbours(links)
    heights: dict[_Item, float] = {}
    for row in rows:
        heights.update(_stacked(row, [0.0] * len(row)))
    for turn in range(_SETTLE):
        for row in rows if turn % 2 == 0 else rows[::-1]:
            sides = (left, right) if turn >= _SETTLE - 2 else (left,) if turn % 2 == 0 else (right,)
            wanted = [
                _mean([heights[near] for side in sides for near in side[item]], heights[item])
                for item in row
            ]
            heights.update(_stacked(row, wanted))
    return heights


def _stacked(row: list[_Item], wanted: list[float]) -> dict[_Item, float]:
    """Return heights in order, no closer than the items need, near what each one wants.

    Items that want to be closer than that form a block, which goes where its members would go on
    average (pool adjacent violators).
    """
    blocks: list[tuple[float, list[float]]] = []  # wanted middle of the first item, offsets
    for index, want in enumerate(wanted):
        block: tuple[float, list[float]] = (want, [0.0])
        needed = (_room(row[index - 1]) + _room(row[index])) / 2 if index else 0.0
        while blocks and blocks[-1][0] + blocks[-1][1][-1] + needed > block[0] - 1e-9:
            first, offsets = blocks.pop()
            shift = offsets[-1] + needed
            joint = [*offsets, *(offset + shift for offset in block[1])]
            size, more = len(offsets), len(block[1])
            start = (first * size + (block[0] - shift) * more) / (size + more)
            block = (start, joint)
            at = index - len(joint) + 1
            needed = (_room(row[at - 1]) + _room(row[at])) / 2 if at > 0 else 0.0
        blocks.append(block)
    heights = [first + offset for first, offsets in blocks for offset in offsets]
    return dict(zip(row, heights, strict=True))


def _room(item: _Item) -> float:
    return 1.0 if isinstance(item, str) else _BEND


def _mean(values: list[float] | list[int], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
