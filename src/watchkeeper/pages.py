"""Reports as one HTML file that needs nothing else: no network, no server.

>>> drawn = page("Report", "<p>All is well.</p>", [])
>>> "<h1>Report</h1><p>All is well.</p>" in drawn
True
"""

import html
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from watchkeeper.errors import MissingExtraError

__all__ = ["page"]

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.2rem .7rem;text-align:right}"
    "th:first-child,td:first-child,td.note{text-align:left}tr.drift td{font-weight:600}"
    ".verdict{font-size:1.3rem}.charts{display:flex;flex-wrap:wrap;gap:1.5rem}"
    "figure{margin:0;background:#fff;color:#222;padding:.6rem;border-radius:.4rem}"
)


def page(title: str, body: str, figures: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Return a page with its charts and what draws them.

    Parameters
    ----------
    title : str
    body : str
        HTML, between the title and the charts.
    figures : sequence of (str, dict)
        Captions, and charts as Vega-Lite has them.

    Returns
    -------
    str
        HTML without references to other files.

    Raises
    ------
    MissingExtraError
        If what draws the charts is not installed.
    """
    shown = "".join(
        f'<figure><figcaption>{html.escape(caption)}</figcaption><div id="c{number}"></div>'
        "</figure>"
        for number, (caption, _) in enumerate(figures)
    )
    charts = [chart for _, chart in figures]
    data = json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")
    drawing = (
        f'<div class="charts">{shown}</div>'
        f'<script type="application/json" id="charts">{data}</script>'
        f"<script>{_bundle()}</script>"
        "<script>JSON.parse(document.getElementById('charts').textContent).forEach("
        "(spec,i)=>vegaEmbed('#c'+i,spec,{actions:false,renderer:'svg'}))</script>"
        if figures
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{body}{drawing}</body></html>\n"
    )


@lru_cache(maxsize=1)
def _bundle() -> str:
    """Return the script that draws, whole, as one `<script>` may hold it."""
    try:
        import vl_convert
    except ImportError:
        raise MissingExtraError("an HTML report", "charts") from None
    script: str = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    return script.replace("</script", "<\\/script")
