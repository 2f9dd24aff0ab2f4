from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.charts.layering import layered

names = st.sampled_from("abcdefghij")
edges = st.lists(st.tuples(names, names), max_size=25)


@given(edges=edges)
def test_given_any_graph_when_layered_then_nodes_of_a_layer_stand_apart(
    edges: list[tuple[str, str]],
) -> None:
    plan = layered("abcdefghij", edges)

    for layer in range(plan.layers):
        heights = sorted(plan.y[name] for name in plan.layer if plan.layer[name] == layer)
        assert all(low - high >= 1 - 1e-6 for high, low in pairwise(heights))
    assert all(0.5 - 1e-6 <= y <= plan.height - 0.5 + 1e-6 for y in plan.y.values())


@given(edges=edges)
def test_given_any_graph_when_layered_then_each_edge_has_a_bend_in_each_layer_between(
    edges: list[tuple[str, str]],
) -> None:
    plan = layered("abcdefghij", edges)

    assert set(plan.ways) == {edge for edge in edges if edge[0] != edge[1]}
    for (source, target), bends in plan.ways.items():
        assert plan.layer[source] != plan.layer[target]
        assert len(bends) == abs(plan.layer[target] - plan.layer[source]) - 1


@given(edges=edges)
def test_given_edges_without_a_circle_when_layered_then_all_lead_to_the_right(
    edges: list[tuple[str, str]],
) -> None:
    forward = [(source, target) for source, target in edges if source < target]

    plan = layered("abcdefghij", forward)

    assert all(plan.layer[source] < plan.layer[target] for source, target in forward)


def test_given_edges_that_would_cross_when_layered_then_they_do_not() -> None:
    plan = layered(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])

    assert (plan.y["a"] < plan.y["b"]) == (plan.y["y"] < plan.y["x"])


def test_given_a_circle_when_layered_then_one_of_its_edges_runs_backwards() -> None:
    plan = layered(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])

    assert [plan.layer[name] for name in "abc"] == [0, 1, 2]
    assert len(plan.ways["c", "a"]) == 1


def test_given_nothing_when_layered_then_the_plan_is_empty() -> None:
    assert layered([], [("a", "b")]).layers == 0
