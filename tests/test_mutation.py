import ast

from .mutation import SOURCE, files_naming, mutations

CODE = """
def limit(size: int = 3) -> bool:
    '''Return whether 1 + 1 is small.'''
    if size < 0:
        raise ValueError(1 + 1)
    return size + 1 <= 5 and True
"""


def test_given_a_module_when_it_is_mutated_then_each_change_is_one_of_what_computes() -> None:
    changes = [change for _, change, _ in mutations(ast.parse(CODE))]

    assert sorted(changes) == [
        "0 -> 1", "1 -> 2", "3 -> 4", "5 -> 6", "Add -> Sub", "And -> Or", "Lt -> LtE",
        "LtE -> Lt", "True -> False",
    ]  # fmt: skip


def test_given_a_change_when_it_is_made_then_the_module_differs_in_it_alone() -> None:
    tree = ast.parse(CODE)
    line, _, apply = next(entry for entry in mutations(tree) if entry[1] == "Lt -> LtE")

    apply()

    assert line == 4
    assert ast.unparse(tree) == ast.unparse(ast.parse(CODE.replace("size < 0", "size <= 0")))


def test_given_a_module_when_its_tests_are_sought_then_those_that_name_it_are_found() -> None:
    assert "tests/stats/test_auc.py" in files_naming(SOURCE / "stats" / "auc.py", "stats")
