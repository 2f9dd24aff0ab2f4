"""Traces, as a collector receives them over OTLP."""

import builtins
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from tests.server.odd_models import Raises
from tests.server.test_lifecycle import call
from tests.servers import fill_registry, server_process, tensor

from watchkeeper.errors import MissingExtraError
from watchkeeper.telemetry import JSONFormatter
from watchkeeper.telemetry.tracing import NoTracing, OpenTelemetry, tracing_to

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Receives spans on loopback."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def test_given_a_collector_when_requests_are_answered_then_it_has_a_span_of_each_in_its_trace(
    collector: Collector, tmp_path: Path
) -> None:
    fill_registry(tmp_path, raises=Raises())
    good = json.dumps({"inputs": [tensor([0.0, 1.0, 0.0, 2.0], [3.0, 0.0, 1.0, 0.0])]})
    with server_process(
        tmp_path, WATCHKEEPER_TELEMETRY__OTLP_ENDPOINT=collector.url, PYTHONPATH=str(Path.cwd())
    ) as server:
        assert call(server.port, "POST", "/v2/models/lr/infer", good, traceparent=PARENT)[0] == 200
        assert call(server.port, "POST", "/v2/models/none/infer", good)[0] == 404
        assert call(server.port, "POST", "/invocations", '{"inputs": [[1]]}')[0] == 409
        assert server.end() == 0

    (resource,) = {str(each.resource) for r in collector.requests for each in r.resource_spans}
    spans = [
        span
        for r in collector.requests
        for each in r.resource_spans
        for scope in each.scope_spans
        for span in scope.spans
    ]
    first = spans[0]
    assert "watchkeeper" in resource
    assert "deployment.environment.name" in resource
    assert len(spans) == 3
    assert first.name == "predict lr"
    assert first.trace_id.hex() == PARENT.split("-")[1]
    assert first.parent_span_id.hex() == PARENT.split("-")[2]
    told = attributes(first)
    assert (told["ml.model.name"], told["ml.model.version"], told["ml.rows"]) == ("lr", "1", 2)
    assert told["http.response.status_code"] == 200
    assert attributes(spans[1])["http.response.status_code"] == 404
    assert {span.status.code for span in spans} == {0}, "a caller's fault is no error of ours"


def test_given_a_failure_when_traced_then_the_span_says_what_kind() -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracing = OpenTelemetry(provider)

    with tracing.request("/v2/models/lr/infer", {}) as span:
        span.answered(500, "ModelFailedError")
        record = logging.makeLogRecord({"msg": "it failed"})
        line = json.loads(JSONFormatter().format(record))
    outside = json.loads(JSONFormatter().format(record))
    tracing.close()

    (found,) = kept.get_finished_spans()
    assert found.attributes is not None
    assert found.attributes["error.type"] == "ModelFailedError"
    assert found.status.status_code.name == "ERROR"
    context = found.get_span_context()
    assert context is not None
    assert line["trace_id"] == f"{context.trace_id:032x}"
    assert line["span_id"] == f"{context.span_id:016x}"
    assert "trace_id" not in outside


def test_given_no_endpoint_when_asked_then_nothing_of_opentelemetry_is_loaded() -> None:
    code = (
        "import sys; from watchkeeper.telemetry.tracing import tracing_to; "
        "t = tracing_to(None, service='s', environment='e', version='1')\n"
        "with t.request('/', {}) as span: span.answered(200)\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"
    assert isinstance(tracing_to(None, service="s", environment="e", version="1"), NoTracing)


def test_given_no_extra_when_an_endpoint_is_set_then_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'watchkeeper\[otel\]'"):
        tracing_to("http://127.0.0.1:4318", service="s", environment="e", version="1")
