"""Traces for OpenTelemetry: a span a request, in the trace that the caller began.

It needs the extra ``otel``. Without an endpoint nothing of OpenTelemetry is loaded and a request
pays for nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from watchkeeper.errors import MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

__all__ = ["NoTracing", "OpenTelemetry", "RequestSpan", "Tracing", "tracing_to"]


class RequestSpan(Protocol):
    """What a request tells of itself."""

    def predicts(self, model: str, version: str, rows: int) -> None:
        """Tell which version answers how many rows.

        Parameters
        ----------
        model, version : str
        rows : int
            How many rows.
        """
        ...

    def answered(self, status: int, error: str = "") -> None:
        """Tell the HTTP status, and the kind of error if the server is at fault.

        Parameters
        ----------
        status : int
        error : str
        """
        ...


class Tracing(Protocol):
    """What makes spans."""

    def request(
        self, path: str, headers: Mapping[bytes, bytes]
    ) -> AbstractContextManager[RequestSpan]:
        """Return a context in which the span of a request is active.

        Parameters
        ----------
        path : str
        headers : mapping of bytes to bytes

        Returns
        -------
        AbstractContextManager[RequestSpan]
        """
        ...

    def close(self) -> None:
        """Send what has not been sent."""
        ...


class _NoSpan:
    def predicts(self, model: str, version: str, rows: int) -> None:
        """Keep it to oneself."""

    def answered(self, status: int, error: str = "") -> None:
        """Keep it to oneself."""


class NoTracing:
    """Makes no spans."""

    _context: AbstractContextManager[RequestSpan] = nullcontext(_NoSpan())

    def request(
        self,
        path: str,  # noqa: ARG002
        headers: Mapping[bytes, bytes],  # noqa: ARG002
    ) -> AbstractContextManager[RequestSpan]:
        """Return a context in which nothing is active.

        Parameters
        ----------
        path : str
        headers : mapping of bytes to bytes

        Returns
        -------
        AbstractContextManager[RequestSpan]
        """
        return self._context

    def close(self) -> None:
        """Do nothing."""


class _Span:
    def __init__(self, span: "Span") -> None:
        self._span = span

    def predicts(self, model: str, version: str, rows: int) -> None:
        self._span.update_name(f"predict {model}")
        self._span.set_attributes(
            {"ml.model.name": model, "ml.model.version": version, "ml.rows": rows}
        )

    def answered(self, status: int, error: str = "") -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", error or str(status))
            self._span.set_status(StatusCode.ERROR)


class OpenTelemetry:
    """Makes spans with a provider.

    Parameters
    ----------
    provider : opentelemetry.sdk.trace.TracerProvider
    """

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("watchkeeper")

    @contextmanager
    def request(self, path: str, headers: Mapping[bytes, bytes]) -> Iterator[RequestSpan]:
        """Return a context in which the span of a request is active.

        Parameters
        ----------
        path : str
        headers : mapping of bytes to bytes
            In which ``traceparent`` names the caller's span.

        Yields
        ------
        RequestSpan
        """
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context_headers = {
            name: headers[name.encode()].decode("latin-1")
            for name in ("traceparent", "tracestate")
            if name.encode() in headers
        }
        with self._tracer.start_as_current_span(
            "predict",
            context=TraceContextTextMapPropagator().extract(context_headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "url.path": path},
        ) as span:
            yield _Span(span)

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


def tracing_to(endpoint: str | None, *, service: str, environment: str, version: str) -> Tracing:
    """Return what sends spans to an OpenTelemetry collector.

    Parameters
    ----------
    endpoint : str or None
        Of OTLP over HTTP, such as ``http://127.0.0.1:4318``; None makes no spans.
    service, environment, version : str
        The resource attributes ``service.name``, ``deployment.environment.name`` and
        ``service.version``.

    Returns
    -------
    Tracing

    Raises
    ------
    MissingExtraError
        If an endpoint is given and OpenTelemetry is not installed.
    """
    if endpoint is None:
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtraError("telemetry.otlp_endpoint", "otel") from None
    about: dict[str, Any] = {
        "service.name": service,
        "service.version": version,
        "deployment.environment.name": environment,
    }
    provider = TracerProvider(resource=Resource.create(about))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OpenTelemetry(provider)
