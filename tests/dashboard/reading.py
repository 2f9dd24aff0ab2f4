"""A person at a page: what they read there, and the forms that they send."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

_BLOCKS = {"td", "th", "dt", "dd", "li", "p", "div", "h1", "h2", "h3", "option", "summary", "br"}


@dataclass
class Read:
    """A page as it is read: its words, what can be followed, and what can be sent."""

    status: int
    text: str = ""
    links: dict[str, str] = field(default_factory=dict)  # what they say, and where they lead
    forms: list[dict[str, str]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    inline: set[str] = field(default_factory=set)  # attributes that the policy forbids

    def form(self, do: str, to: str = "") -> dict[str, str]:
        """Return the only form that does something, with where it goes."""
        (found,) = [
            each for each in self.forms if each.get("do") == do and to in each["to"]
        ]  # fmt: skip
        return dict(found)


class _Reader(HTMLParser):
    def __init__(self, status: int) -> None:
        super().__init__(convert_charrefs=True)
        self.read, self.words = Read(status), [""]
        self.link: list[str] | None = None
        self.href = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.read.tags.add(tag)
        self.words.append(" " if tag in _BLOCKS else "")
        self.read.inline |= {each for each in given if each == "style" or each.startswith("on")}
        if tag == "a":
            self.link, self.href = [], given.get("href", "")
        elif tag == "form":
            self.read.forms.append({"to": given.get("action", "")})
        elif tag in {"input", "textarea"} and self.read.forms and "name" in given:
            self.read.forms[-1][given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self.link is not None:
            self.read.links[" ".join("".join(self.link).split())] = self.href
            self.link = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.link is not None:
            self.link.append(data)


def read(client: TestClient, address: str) -> Read:
    """Read a page."""
    answer = client.get(address)
    reader = _Reader(answer.status_code)
    reader.feed(answer.text)
    reader.read.text = " ".join("".join(reader.words).split())
    return reader.read


def send(client: TestClient, form: dict[str, str], **typed: str) -> Any:
    """Send a form as a browser does, and do not follow where it leads."""
    sent = {**form, **typed}
    return client.post(sent.pop("to"), data=sent, follow_redirects=False)
