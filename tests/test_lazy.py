from importlib import import_module

import pytest

from watchkeeper.lazy import on_first_use

FACES = [
    "experiments", "incidents", "notifications", "records", "registry", "retraining", "rollouts",
    "telemetry",
]  # fmt: skip


@pytest.mark.parametrize("package", FACES)
def test_given_a_package_when_its_public_names_are_used_then_each_is_there(package: str) -> None:
    face = import_module(f"watchkeeper.{package}")

    for name in face.__all__:
        getattr(face, name)
        assert name in vars(face)


@pytest.mark.parametrize("package", FACES)
def test_given_a_package_when_a_name_is_not_public_then_it_has_no_such_attribute(
    package: str,
) -> None:
    face = import_module(f"watchkeeper.{package}")

    assert not hasattr(face, "no_such_name")


def test_given_a_name_when_it_was_used_once_then_the_package_has_it() -> None:
    face = import_module("watchkeeper.incidents")

    used = on_first_use("watchkeeper.incidents", {"Alert": ".alerts"})("Alert")

    assert vars(face)["Alert"] is used
