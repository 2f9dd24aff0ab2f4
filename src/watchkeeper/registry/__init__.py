"""The registry: immutable model versions whose bytes are checked before they are loaded.

>>> import tempfile
>>> import numpy as np
>>> from sklearn.linear_model import LogisticRegression
>>> from watchkeeper.registry import ModelRegistry
>>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
>>> with tempfile.TemporaryDirectory() as folder, ModelRegistry(folder) as registry:
...     model_id = registry.register_model(
...         LogisticRegression().fit(x, y), "risk", "1.0.0", {"accuracy": 0.91})
...     registry.promote_to_production(model_id)
...     registry.get_production_model("risk"), registry.load_model(model_id).predict([[3.0]])
('risk:1.0.0', array([1]))
"""

from typing import TYPE_CHECKING

from watchkeeper.lazy import on_first_use

if TYPE_CHECKING:
    from watchkeeper.registry.diff import Difference
    from watchkeeper.registry.formats import UnsafeFormatError, UntrustedTypesError
    from watchkeeper.registry.lineage import Lineage
    from watchkeeper.registry.registry import ModelRegistry
    from watchkeeper.registry.remote import Remote
    from watchkeeper.registry.runtime import Answers, ModelOutputError, Runtime
    from watchkeeper.registry.signature import Feature, Signature
    from watchkeeper.registry.versions import ModelVersion, Status

__all__ = [
    "Answers",
    "Difference",
    "Feature",
    "Lineage",
    "ModelOutputError",
    "ModelRegistry",
    "ModelVersion",
    "Remote",
    "Runtime",
    "Signature",
    "Status",
    "UnsafeFormatError",
    "UntrustedTypesError",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Answers": ".runtime",
        "Difference": ".diff",
        "Feature": ".signature",
        "Lineage": ".lineage",
        "ModelOutputError": ".runtime",
        "ModelRegistry": ".registry",
        "ModelVersion": ".versions",
        "Remote": ".remote",
        "Runtime": ".runtime",
        "Signature": ".signature",
        "Status": ".versions",
        "UnsafeFormatError": ".formats",
        "UntrustedTypesError": ".formats",
    },
)
