"""What has to hold for every drawing, whatever it was given."""

import re
from importlib.resources import files
from math import isfinite
from xml.etree import ElementTree as ET

from watchkeeper.charts import Chart

GEOMETRY = frozenset(
    "x y x1 x2 y1 y2 cx cy r rx width height d viewBox data-x".split()  # noqa: SIM905 - as in SVG
)
STYLESHEET = (files("watchkeeper.dashboard") / "static" / "charts.css").read_text("utf-8")
CLASSES = frozenset(re.findall(r"\.([a-z][a-z0-9-]*)", STYLESHEET))

_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_NEARLY = 0.02  # coordinates are written in hundredths


def drawn(chart: Chart) -> ET.Element:
    """Return the drawing of a chart as a tree, after checking what holds for all of them."""
    root = ET.fromstring(chart.svg())
    assert root.tag == "svg"
    assert root.get("aria-label")
    links = list(root.iter("a"))
    assert root.get("role") == ("group" if links else "img")
    for element in root.iter():
        assert "style" not in element.attrib
        assert element.tag not in {"script", "style", "foreignObject", "image"}
        assert not any(name.startswith("on") for name in element.attrib)
        unknown = set((element.get("class") or "").split()) - CLASSES
        assert not unknown, unknown
        for name in GEOMETRY & set(element.attrib):
            assert not re.search("nan|inf|e", element.attrib[name]), (name, element.attrib[name])
    for hidden in root.iter("g"):
        assert hidden.get("aria-hidden") is None or not list(hidden.iter("a"))
    _within(root, width=_width(root), height=_height(root))
    return root


def texts(root: ET.Element) -> list[str]:
    """Return all that is written in a drawing, tooltips left out."""
    return ["".join(text.itertext()) for text in root.iter("text")]


def titles(root: ET.Element) -> list[str]:
    return [title.text or "" for title in root.iter("title")]


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def _within(parent: ET.Element, width: float, height: float) -> None:
    """Check that all lies within a sheet, and what lies in sheets of its own within those."""
    for element in parent:
        if element.get("class") != "hit":
            _place(element, width, height)
        if element.tag != "svg":
            _within(element, width, height)
        elif element.get("viewBox"):
            _within(element, _width(element), _height(element))
        # What else is a sheet is a point: a shape or a label of a few pixels stands around it.


def _place(element: ET.Element, width: float, height: float) -> None:
    for name in ("x", "x1", "x2", "cx"):
        if element.tag != "text" and name in element.attrib:
            _between(element.attrib[name], width, f"{element.tag} {name}")
    for name in ("y", "y1", "y2", "cy"):
        if name in element.attrib:
            _between(element.attrib[name], height, f"{element.tag} {name}")
    for start, size, whole in (("x", "width", width), ("y", "height", height)):
        if element.tag in {"rect", "svg"} and start in element.attrib and size in element.attrib:
            begin, extent = element.attrib[start], element.attrib[size]
            if begin.endswith("%") == extent.endswith("%"):
                limit = 100.0 if begin.endswith("%") else whole
                total = float(begin.rstrip("%")) + float(extent.rstrip("%"))
                assert total <= limit + _NEARLY, (element.tag, start, begin, extent)
                assert float(extent.rstrip("%")) >= 0
    if element.tag == "path" and "d" in element.attrib:
        for x, y in _points(element.attrib["d"]):
            assert -_NEARLY <= x <= width + _NEARLY, element.attrib["d"]
            assert -_NEARLY <= y <= height + _NEARLY, element.attrib["d"]


def _between(written: str, limit: float, where: str) -> None:
    value, most = float(written.rstrip("%")), 100.0 if written.endswith("%") else limit
    assert isfinite(value)
    if not where.startswith(("svg x", "text")):  # samples of the key stand beside the plot
        assert -_NEARLY <= value <= most + _NEARLY, (where, written, limit)


def _points(d: str) -> list[tuple[float, float]]:
    """Return where a path comes by; relative pieces are arrow heads and shapes, and small."""
    found = []
    x = y = 0.0
    for command, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        values = [float(value) for value in _NUMBER.findall(rest)]
        if command in "MLC":
            assert len(values) % 2 == 0
            pairs = list(zip(values[::2], values[1::2], strict=True))
            found += pairs
            x, y = pairs[-1]
        elif command == "H":
            x = values[-1]
            found.append((x, y))
        elif command == "V":
            y = values[-1]
            found.append((x, y))
        else:
            assert command in "zlvha"
            assert all(abs(value) <= 12 for value in values)
    return found


def _width(sheet: ET.Element) -> float:
    box = sheet.get("viewBox")
    return float(box.split()[2]) if box else 4000.0  # as wide as any screen


def _height(sheet: ET.Element) -> float:
    box = sheet.get("viewBox")
    return float(box.split()[3]) if box else float(sheet.attrib["height"])
