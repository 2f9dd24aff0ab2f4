"""Prometheus' text format, and the ways to reach it.

Prometheus' own client writes some 80,000 lines a second; a server with a hundred versions has ten
thousand. This writes the same text in half the time, and leaves NaN gauges out: a rule that
compares with NaN is silent for ever.
"""

import math
import os
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, multiprocess
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from watchkeeper.errors import ConflictError
from watchkeeper.interpreter import giving_way

__all__ = [
    "CONTENT_TYPE",
    "MetricsServer",
    "exposition",
    "families",
    "share_between_workers",
    "shared_between_workers",
    "start_metrics_server",
    "worker_ended",
]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set for worker processes, which add up in this folder
_SUFFIXES = {"counter": "_total", "info": "_info"}
_TYPES = {"info": "gauge", "stateset": "gauge", "unknown": "untyped", "gaugehistogram": "histogram"}


def exposition(registry: CollectorRegistry, *, local: Iterable[Collector] = ()) -> bytes:
    """Return all metrics in Prometheus' text format, added up over worker processes.

    Parameters
    ----------
    registry : CollectorRegistry
    local : iterable of Collector
        Collectors of `registry` that worker processes do not share: they are asked here.

    Returns
    -------
    bytes
    """
    with giving_way():
        metrics = families(registry)
        if os.environ.get(_SHARED):
            metrics = [*metrics]
            for collector in local:
                metrics += collector.collect()
            metrics = sorted(metrics, key=lambda family: family.name)
        return _text(metrics)


def families(registry: CollectorRegistry) -> Iterable[Metric]:
    """Return the metrics of `registry`, or what worker processes share of it, added up.

    Parameters
    ----------
    registry : CollectorRegistry

    Returns
    -------
    iterable of Metric
    """
    folder = os.environ.get(_SHARED)
    if not folder:
        return registry.collect()
    shared = multiprocess.MultiProcessCollector(None, path=folder)  # type: ignore[no-untyped-call]
    metrics: Iterable[Metric] = shared.collect()  # type: ignore[no-untyped-call]
    return metrics


def _text(families: Iterable[Metric]) -> bytes:
    lines: list[str] = []
    for family in families:
        kind = family.type
        name = family.name + _SUFFIXES.get(kind, "")
        description = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {name} {description}\n# TYPE {name} {_TYPES.get(kind, kind)}\n")
        gauge = kind == "gauge"
        for sample in family.samples:
            if gauge and math.isnan(sample.value):
                continue
            value = floatToGoString(sample.value)  # type: ignore[no-untyped-call]
            if sample.labels:
                labels = ",".join([f'{k}="{_escaped(v)}"' for k, v in sample.labels.items()])
                lines.append(f"{sample.name}{{{labels}}} {value}\n")
            else:
                lines.append(f"{sample.name} {value}\n")
    return "".join(lines).encode()


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


def share_between_workers(folder: Path) -> None:
    """Make worker processes that start from now on add up their metrics in `folder`.

    Parameters
    ----------
    folder : Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()
    os.environ[_SHARED] = str(folder)


def shared_between_workers() -> bool:
    """Return whether this process adds up its metrics with others.

    Returns
    -------
    bool
    """
    return bool(os.environ.get(_SHARED))


def worker_ended(pid: int) -> None:
    """Forget what a worker that is gone had in flight; its totals stay.

    Parameters
    ----------
    pid : int
    """
    if os.environ.get(_SHARED):
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


class MetricsServer:
    """A running server of ``/metrics``; see `start_metrics_server`.

    Parameters
    ----------
    server : ThreadingHTTPServer
        Bound to its address; it begins to answer.

    Attributes
    ----------
    url : str
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        host, port = server.server_address[:2]
        self.url = f"http://{host!s}:{port}/metrics"
        self._thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def start_metrics_server(
    port: int = 8000, host: str = "127.0.0.1", registry: CollectorRegistry = REGISTRY
) -> MetricsServer:
    """Serve `registry` for Prometheus at ``/metrics``, in a thread of its own.

    Parameters
    ----------
    port : int
        0 takes a free one; see `MetricsServer.url`.
    host : str
        Loopback by default: every client of the port reads the metrics, without a check of who
        they are. Give another address where Prometheus runs on another machine.
    registry : CollectorRegistry

    Returns
    -------
    MetricsServer
        With ``close()``; it ends with the process otherwise.

    Raises
    ------
    ConflictError
        If the address cannot be bound.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> server = start_metrics_server(port=0, registry=CollectorRegistry())
    >>> server.close()
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served = self.path.partition("?")[0] in {"/metrics", "/"}
            body = exposition(registry) if served else b"See /metrics.\n"
            self.send_response(200 if served else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: a line a scrape is of no use."""

    try:
        return MetricsServer(ThreadingHTTPServer((host, port), Handler))
    except OSError as error:
        raise ConflictError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "Choose another port, or 0 for a free one.",
        ) from None
