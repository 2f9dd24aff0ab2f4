"""The HTTP API, as a page that needs nothing from elsewhere: what is called, and what it takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from watchkeeper.dashboard.page import Page

__all__ = ["page"]

_METHODS = ("get", "post", "put", "patch", "delete")
_ONE_OF = ("oneOf", "anyOf")


@dataclass(frozen=True, slots=True)
class _Call:
    """One thing that can be called; a name that must be given ends in a star."""

    tag: str
    method: str
    path: str
    description: str
    parameters: tuple[str, ...]
    body: tuple[str, ...]


def page(description: Mapping[str, Any]) -> Page:
    """Return what the OpenAPI description of this server says.

    Parameters
    ----------
    description : mapping of str to object
        As FastAPI returns it.

    Returns
    -------
    Page
    """
    calls = sorted(_calls(description), key=lambda call: (call.tag, call.path, call.method))
    by_tag = groupby(calls, key=lambda call: call.tag)
    return Page(
        template="calls.html",
        title="HTTP API",
        section="",
        context={"by_tag": [(tag, list(group)) for tag, group in by_tag], "number": len(calls)},
    )


def _calls(description: Mapping[str, Any]) -> Iterator[_Call]:
    for path, methods in description["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                text = operation.get("description") or operation.get("summary", "")
                parameters = (
                    parameter
                    for parameter in operation.get("parameters", ())
                    if parameter["in"] == "query"
                )
                yield _Call(
                    tag=next(iter(operation.get("tags", ())), "other"),
                    method=method.upper(),
                    path=path,
                    description=text.partition("\n\n")[0],
                    parameters=tuple(
                        _named(parameter["name"], parameter.get("required", False))
                        for parameter in parameters
                    ),
                    body=tuple(_body(operation.get("requestBody", {}), description)),
                )


def _body(body: Mapping[str, Any], description: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that a body of JSON has, of a list those of what is in it."""
    schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    schema = _resolved(schema, description)
    forms = [form for name in _ONE_OF for form in schema.get(name, ())] or [schema]
    seen: set[str] = set()
    for form in forms:
        fields = _resolved(form, description)
        for name in fields.get("properties", {}):
            if name not in seen:
                seen.add(name)
                yield _named(name, len(forms) == 1 and name in fields.get("required", ()))


def _resolved(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schema refers to, of a list that of its items."""
    while "$ref" in schema or "items" in schema:
        if "items" in schema:
            schema = schema["items"]
        else:
            schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _named(name: str, required: bool) -> str:
    return f"{name}*" if required else name
