"""Debian's Chromium, driven by Playwright, and what is wrong with a page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    ViewportSize,
    sync_playwright,
)
from tests.parts import program

DESK, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
WHO = "Maria"
_WAITS = 60_000  # milliseconds for what a busy machine may take
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--disable-quic",
)  # fmt: skip
_GRAVE = frozenset({"serious", "critical"})

# What can be reached by Tab has to be, and has to be seen when it is.
_STOPS = """() => {
  const stops = [...document.querySelectorAll(
    "a[href], button, summary, input:not([type=hidden]), textarea, select, [tabindex='0']")]
    .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled)
    .filter((each) => each.tabIndex >= 0);
  window.reached = new Map(stops.map((each) => [each, ""]));
  document.addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
    window.reached.set(target, seen ? "seen" : "not seen");
  });
  document.activeElement?.blur();
  return stops.length;
}"""
_MISSED = """() => [...window.reached].filter(([, how]) => how !== "seen")
  .map(([each, how]) => `${how || "not reached"}: ${each.outerHTML.slice(0, 160)}`)"""

FLAT = """return [...document.querySelectorAll("figure.chart > svg")]
  .map((each) => each.getBoundingClientRect())
  .filter((box) => !(box.width > 50 && box.height > 10))
  .map((box) => `${box.width} x ${box.height}`);"""
"""What finds the charts of a page that are not drawn."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    path = program("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page of a browser, and what went wrong on it.

    Attributes
    ----------
    page : Page
    home : str
        Where the server is.
    said : list of str
        Errors and warnings of the console, exceptions, and violations of the policy among them.
    away : list of str
        Requests that went to anybody else.
    """

    page: Page
    home: str
    said: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.on("console", lambda told: self._heard(told.type, told.text))
        page.on("pageerror", lambda error: self._heard("error", str(error)))
        page.on("request", self._asked)

    def show(self, path: str) -> None:
        """Open a page of the server, and wait until it says what it knows."""
        answer = self.page.goto(self.home + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)

    def ills(self, *rules: str) -> list[str]:
        """Return what axe finds serious or critical, by all of its rules or by some."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = list(rules)
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [told for each in found["violations"] for told in _ills(each)]

    def missed_by_tab(self) -> list[str]:
        """Return what Tab does not lead to, or shows no focus."""
        for _ in range(self.page.evaluate(_STOPS) + 2):
            self.page.keyboard.press("Tab")
        missed: list[str] = self.page.evaluate(_MISSED)
        return missed

    def tab_to(self, label: str) -> None:
        """Press Tab until what is called so has the focus."""
        for _ in range(200):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("() => document.activeElement.innerText") == label:
                return
        raise AssertionError(f"Tab does not lead to {label}")

    def overhang(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        wider: int = self.page.evaluate(
            "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
            " - window.innerWidth"
        )
        return wider

    def act(self, label: str, button: str = "", **fields: str) -> None:
        """Open the form with a label, fill it in as somebody called `WHO`, and send it."""
        named = re.compile(rf"^{re.escape(label)}…$")
        form = self.page.locator("details.act", has=self.page.locator("summary", has_text=named))
        form.locator("summary").click()
        if form.locator("[name=actor]").count():
            fields["actor"] = WHO
        for name, value in fields.items():
            form.locator(f"[name={name}]").fill(value)
        form.get_by_role("button", name=button or label, exact=True).click()
        self.page.locator("p.said").wait_for()

    def text(self, selector: str = "main") -> str:
        """Return what can be read."""
        return " ".join(self.page.locator(selector).inner_text().split())

    def _heard(self, kind: str, told: str) -> None:
        if kind in {"error", "warning"}:
            self.said.append(told)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:")):
            self.away.append(request.url)


@contextmanager
def watching(browser: Browser, home: str, **options: Any) -> Iterator[Watched]:
    """Open a browser's window of its own: without cookies, and with what `options` say of it."""
    context: BrowserContext = browser.new_context(**{"viewport": DESK, **options})
    context.set_default_timeout(_WAITS)
    try:
        yield Watched(context.new_page(), home)
    finally:
        context.close()


def _ills(violation: Mapping[str, Any]) -> Sequence[str]:
    if violation["impact"] not in _GRAVE:
        return ()
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]} "
        f"{[each['message'] for each in node['any'] + node['all'] + node['none']][:1]}"
        for node in violation["nodes"][:5]
    ]
