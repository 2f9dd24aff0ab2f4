import builtins
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import vl_convert

from watchkeeper.cli import main
from watchkeeper.drift import DataDriftDetector, DriftReport
from watchkeeper.errors import MissingExtraError

HOSTILE = "</script><script>alert(1)</script>\"&'"


def frame(rows: int, seed: int, shift: float = 0.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40 + shift, 9, rows),
        "income": rng.lognormal(size=rows),
        "constant": np.ones(rows),
        "plan": rng.choice(["basic", "plus", HOSTILE], rows).tolist(),
        "code": [f"c{i}" for i in rng.integers(0, 200, rows)],
        "far": np.where(rng.uniform(size=rows) < 0.01, np.inf, rng.normal(size=rows)),
        HOSTILE: rng.normal(size=rows),
    }


@pytest.fixture(scope="module")
def report() -> DriftReport:
    return DataDriftDetector(frame(2_000, 1)).detect(frame(1_500, 2, 3.0) | {"new": [1] * 1_500})


def charts_of(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page)
    assert found is not None
    charts: list[dict[str, Any]] = json.loads(found[1])
    return charts


def test_given_a_report_when_written_as_a_page_then_it_loads_nothing_and_tells_the_verdict(
    report: DriftReport,
) -> None:
    page = report.to_html("July & January")
    head = page[: page.index('<script type="application/json"')]

    assert "Drift in 1 of 7 features" in head
    assert "July &amp; January" in head
    assert "new is new" in head
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", head)
    assert "<script>alert" not in page
    assert page.count("<figure>") == 7
    assert head.index("<td>age</td>") < head.index("<td>income</td>")


def test_given_charts_when_rendered_then_each_draws_both_samples(report: DriftReport) -> None:
    for chart in charts_of(report.to_html()):
        drawn = vl_convert.vegalite_to_svg(chart)
        assert drawn.startswith("<svg")
        assert "#8a94a6" in drawn
        assert "#d1495b" in drawn


def test_given_fifty_features_when_written_then_the_page_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    wide = {f"feature_{i}": rng.normal(size=3_000) for i in range(40)}
    wide |= {f"word_{i}": rng.choice(list("abcdefghij"), 3_000) for i in range(10)}

    page = DataDriftDetector(wide).detect(wide).to_html()

    bundle = len(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"))
    assert len(page.encode()) - bundle < 1_500_000
    assert len(charts_of(page)) == 50


def test_given_bins_when_counted_then_every_row_is_in_one(report: DriftReport) -> None:
    for name, feature in report.features.items():
        found = feature.distribution
        assert found is not None, name
        assert (sum(found.reference), sum(found.current)) == (2_000, 1_500)
        if found.labels is None:
            assert found.edges is not None
            assert len(found.edges) == len(found.current) + 1
            assert np.isfinite(found.edges).all()
    code = report.features["code"].distribution
    assert code is not None
    assert code.labels is not None
    assert (len(code.labels), code.others, code.labels[-1]) == (21, 180, "(180 others)")


def test_given_a_notebook_when_the_report_is_shown_then_it_is_a_table(report: DriftReport) -> None:
    shown = report._repr_html_()

    assert shown.count("<tr") == 8
    assert "<script" not in shown


def test_given_no_extra_when_a_page_is_asked_for_then_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in {"altair", "vl_convert"}:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name, seed in (("a", 1), ("b", 2)):
        pyarrow.parquet.write_table(pa.table(frame(300, seed)), tmp_path / f"{name}.parquet")
    files = [str(tmp_path / f"{name}.parquet") for name in ("a", "b")]
    monkeypatch.setattr(builtins, "__import__", without)
    code = main(["drift", *files, "--html", str(tmp_path / "page.html")])

    assert code == 2
    assert "pip install 'watchkeeper[charts]'" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(MissingExtraError):
        DataDriftDetector(frame(50, 1)).detect(frame(50, 2)).to_html()


def test_given_files_when_compared_with_a_page_then_it_is_written_and_the_code_is_the_verdict(
    tmp_path: Path,
) -> None:
    for name, seed, shift in (("a", 1, 0.0), ("b", 2, 9.0)):
        table = pa.table(frame(500, seed, shift))
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
    files = [str(tmp_path / f"{name}.parquet") for name in ("a", "b")]

    assert main(["drift", *files, "--html", str(tmp_path / "page.html")]) == 1
    assert "vegaEmbed" in (tmp_path / "page.html").read_text()
    assert main(["drift", *files, "--checks", "8760"]) == 1
    assert main(["drift", files[0], files[0]]) == 0
