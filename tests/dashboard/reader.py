"""Who reads pages, and sends their forms."""

import re
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

HOSTILE = "<script>alert(1)</script>"


class Text(HTMLParser):
    """What a page says, without its markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._said: list[str] = []
        self.feed(html)
        self.said = " ".join(" ".join(self._said).split())

    def handle_data(self, data: str) -> None:
        self._said.append(data)


def said(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return Text(answer.text).said


def send(client: TestClient, path: str, **fields: str) -> Any:
    """Send a form of a page, as a browser does."""
    found = re.search(r'name="token" value="([^"]+)"', client.get(path).text)
    assert found
    token = {"token": found[1], "actor": "maria", "reason": "because", **fields}
    return client.post(path, data=token, follow_redirects=False)


def evidence(client: TestClient, path: str) -> list[str]:
    """Return what the API answers to where a page has its figures from; all of it must be there."""
    addresses = sorted(set(re.findall(r'href="(/v1/[^"]+)"', client.get(path).text)))
    answers = [client.get(each) for each in addresses]
    assert [each.status_code for each in answers] == [200] * len(addresses), addresses
    return addresses


class Links(HTMLParser):
    """Where a page leads, and which of its parts can be led to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in {"href", "src"}:
                self.targets.append(value)
            if value is not None and name == "id":
                self.ids.add(value)
