"""The documentation says what is there, and what it shows runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from watchkeeper.cli.root import COMMANDS, load_command
from watchkeeper.config import setting_paths
from watchkeeper.telemetry import ModelMetrics, SystemMetrics

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/runbook.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEXTS = [
    *PAGES,
    *(ROOT / name for name in ("CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "changes").glob("*.md")),
]
README = (ROOT / "README.md").read_text()
GONE_WORDS = re.compile(
    r"""\b(?:
        nobody|somebody|anybody|everybody|whoever|people|persons?|one's\ own
        |taken?\ back|takes\ back|put\ back|let\ in|in\ hand|made\ again|trained\ again
        |came\ true|truths?|truth\ values?|unheard|unproven|(?:not|is)\ proven
        |lands?|landed|arms?|looked|ill|goes\ on|says\ nothing|time\ lines?
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)


def test_given_the_readme_when_its_python_is_run_then_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

    exec("\n".join(blocks), {})

    assert len(blocks) == 2
    assert (tmp_path / "watchkeeper-data" / "registry" / "late" / "1.0.0").is_dir()


@pytest.mark.parametrize(
    "name", ["telemetry", "drift", "quality", "health", "experiments", "rollouts", "retraining"]
)
def test_given_a_page_when_its_python_is_run_then_it_holds(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    exec("\n".join(blocks), {})

    assert blocks


def commands() -> Iterator[str]:
    for name in (name for lines in COMMANDS.values() for name in lines):
        loaded = load_command(name)
        for subcommand in getattr(loaded, "commands", {"": loaded}):
            yield f"{name} {subcommand}".strip()


def test_given_the_commands_when_the_readme_is_read_then_each_is_in_it() -> None:
    found = set(commands())

    assert len(found) > 12
    for command in found:
        *group, name = command.split()
        assert (
            "demo" in README
            if name == "demo"
            else f"`{name}`" in README or (" ".join(["watchkeeper", *group, name]) in README)
        ), command


def test_given_the_settings_when_their_page_is_read_then_it_has_each_and_no_other() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)

    assert documented == [".".join(path) for path in setting_paths()]


def test_given_the_metrics_when_their_page_is_read_then_it_has_each_and_no_other() -> None:
    registry = CollectorRegistry()
    ModelMetrics(registry)
    SystemMetrics(registry, version="1")
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)

    names = [
        family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for family in registry.collect()
    ]
    assert sorted(documented) == sorted(names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_given_a_page_when_its_links_are_followed_then_they_lead_somewhere(page: Path) -> None:
    text = page.read_text()

    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    for script in re.findall(r"`(benchmarks/\w+\.py)`", text):
        assert (ROOT / script).exists(), script
    for module in re.findall(r"`(\w+/\w+\.py)`", text):
        places = [ROOT / module, ROOT / "src" / "watchkeeper" / module]
        assert any(place.exists() for place in places), module


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_given_a_text_when_its_prose_is_read_then_words_that_are_gone_are_not_in_it(
    page: Path,
) -> None:
    prose = re.sub(r"```.*?^```$|`[^`]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)

    assert GONE_WORDS.findall(prose) == []
