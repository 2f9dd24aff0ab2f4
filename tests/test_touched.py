from .touched import folders_of, parts_of


def test_given_a_changed_module_when_its_tests_are_sought_then_its_importers_are_named() -> None:
    direct, importers = parts_of(["src/watchkeeper/stats/auc.py", "README.md"])

    assert direct == {"stats"}
    assert "quality" in importers
    assert "stats" not in importers


def test_given_a_changed_test_when_its_tests_are_sought_then_it_is_its_package_alone() -> None:
    assert parts_of(["tests/drift/test_html.py", "tests/test_clock.py"]) == (
        {"drift", "clock"}, set(),
    )  # fmt: skip


def test_given_parts_when_their_tests_are_sought_then_examples_and_tests_are_found() -> None:
    assert folders_of({"stats", "clock"}) == [
        "src/watchkeeper/clock.py",
        "tests/test_clock.py",
        "src/watchkeeper/stats",
        "tests/stats",
    ]
