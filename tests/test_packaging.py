"""What the project is installed from, and what its tests need of the machine."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from watchkeeper import __version__
from watchkeeper.extras import missing

from .parts import PROGRAMS, program

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text())
OWN = "watchkeeper"
MODULES = {
    "scikit-learn": "sklearn",
    "pyyaml": "yaml",
    "ibis-framework": "ibis",
    "mlflow-skinny": "mlflow",
    "vl-convert-python": "vl_convert",
    "pyopenssl": "OpenSSL",
    "opentelemetry-sdk": "opentelemetry",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "model-signing": "model_signing",
}
"""What Python imports, where it is not the name of the package."""


def names(requirements: list[str]) -> set[str]:
    """Return what is required, but for what is of this project."""
    return {Requirement(text).name for text in requirements} - {OWN}


def test_given_the_lock_when_it_is_read_then_all_comes_from_the_public_index() -> None:
    for package in LOCK["package"]:
        if package["name"] == OWN:
            assert package["source"] == {"editable": "."}
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files, package["name"]
        for file in files:
            assert file["url"].startswith("https://files.pythonhosted.org/packages/")
            assert file["hash"].startswith("sha256:")


def test_given_the_requirements_when_the_lock_is_read_then_it_holds_the_same() -> None:
    (locked,) = (package for package in LOCK["package"] if package["name"] == OWN)
    metadata = locked["metadata"]
    project = PROJECT["project"]

    wanted = names(project["dependencies"])
    for requirements in project["optional-dependencies"].values():
        wanted |= names(requirements)
    assert {entry["name"] for entry in metadata["requires-dist"]} - {OWN} == wanted
    assert {entry["name"] for entry in metadata["requires-dev"]["dev"]} - {OWN} == names(
        PROJECT["dependency-groups"]["dev"]
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_given_this_machine_when_a_program_is_looked_for_then_it_is_there(name: str) -> None:
    assert program(name)
    assert PROGRAMS[name] in (ROOT / "Makefile").read_text()


def test_given_this_environment_when_packages_are_looked_for_then_all_are_there() -> None:
    wanted = names(PROJECT["project"]["dependencies"]) | names(PROJECT["dependency-groups"]["dev"])
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        wanted |= names(requirements)
    absent = []
    for name in sorted(wanted):
        try:
            version(name)
        except PackageNotFoundError:
            absent.append(name)

    assert not absent, f"{', '.join(absent)}: install with `rm .venv/.ready && make .venv/.ready`"


def test_given_an_extra_when_a_module_of_it_is_missing_then_the_extra_is_named() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    base = {"markdown-it-py"}  # Rich brings it

    for extra, requirements in extras.items():
        for name in names(requirements) - base:
            brings = missing(MODULES.get(name, name))
            assert brings is not None, name
            assert brings == extra or name in names(extras[brings]), name


def test_given_the_version_when_the_project_is_built_then_there_is_one_source_of_it() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", __version__)


def test_given_workflows_and_templates_when_they_are_checked_then_they_are_valid() -> None:
    checker = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    assert checker
    github = ROOT / ".github"
    for schema, files in (
        ("vendor.github-workflows", sorted((github / "workflows").glob("*.yml"))),
        ("vendor.dependabot", [github / "dependabot.yml"]),
        ("vendor.github-issue-forms", sorted((github / "ISSUE_TEMPLATE").glob("[!c]*.yml"))),
        ("vendor.github-issue-config", [github / "ISSUE_TEMPLATE" / "config.yml"]),
    ):
        assert files
        subprocess.run([checker, "--builtin-schema", schema, *map(str, files)], check=True)
