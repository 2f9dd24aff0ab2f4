import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
import sklearn
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.utils import all_estimators

from watchkeeper.registry import formats
from watchkeeper.registry.sklearn_types import is_estimator, types_in


def search_of_sklearn() -> set[str]:
    return {
        name
        for _, estimator in all_estimators()
        if (name := f"{estimator.__module__}.{estimator.__name__}").startswith("sklearn.")
    }


def classes_of_sklearn() -> set[str]:
    """Return the names of all classes that scikit-learn defines, private modules included."""
    names = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, name, _ in pkgutil.walk_packages(sklearn.__path__, "sklearn."):
            if {"tests", "conftest", "experimental", "externals", "setup", "_build_utils"} & set(
                name.split(".")
            ):
                continue
            module = importlib.import_module(name)
            names |= {
                f"{found.__module__}.{found.__name__}"
                for _, found in inspect.getmembers(module, inspect.isclass)
            }
    return names


def test_given_all_classes_of_scikit_learn_when_looked_up_then_its_own_search_agrees() -> None:
    classes = classes_of_sklearn()

    whole = search_of_sklearn()  # afterwards: one of the modules enables what is experimental
    assert classes > whole
    assert {name for name in classes if is_estimator(name)} == whole


@pytest.mark.parametrize(
    "name",
    [
        "",
        "os.system",
        "sklearn",
        "sklearn.base.BaseEstimator",
        "sklearn.no_such_module.Estimator",
        "sklearn..linear_model.LogisticRegression",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.linear_model._logistic.warnings",
        "sklearn.conftest.LogisticRegression",
        "sklearned.linear_model._logistic.LogisticRegression",
    ],
)
def test_given_a_name_that_is_no_estimator_when_looked_up_then_it_is_none(name: str) -> None:
    assert not is_estimator(name)


def test_given_a_file_when_its_types_are_read_then_they_are_those_that_skops_meets() -> None:
    data = skops.io.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))

    names = types_in(data)

    assert "sklearn.linear_model._logistic.LogisticRegression" in names
    assert set(skops.io.get_untrusted_types(data=data)) <= set(names)


def test_given_a_forged_module_when_loaded_then_the_type_is_refused() -> None:
    data = skops.io.dumps(LogisticRegression())
    with ZipFile(BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["__module__"], schema["__class__"] = "sklearn.utils._testing", "TempMemmap"
    buffer = BytesIO()
    with ZipFile(buffer, "w") as forged:
        forged.writestr("schema.json", json.dumps(schema))

    with pytest.raises(formats.UntrustedTypesError, match="TempMemmap"):
        formats.load(buffer.getvalue(), "skops", trusted=(), unsafe=False)


def in_a_fresh_process(code: str, path: Path) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1])))
    return path


LOAD = """
import pathlib, sys
from watchkeeper.registry import formats
data = pathlib.Path(sys.argv[1]).read_bytes()
model = formats.load(data, "skops", trusted=(), unsafe=False)
"""


def test_given_a_linear_model_when_loaded_then_the_rest_of_scikit_learn_is_not_imported(
    model_file: Path,
) -> None:
    code = (
        f"{LOAD}\nassert model.predict([[1.0]]) == [1]\n"
        "parts = ['pandas', 'pytest', 'sklearn.gaussian_process',\n"
        "         'sklearn.datasets', 'sklearn.feature_selection', 'sklearn.neural_network']\n"
        "print(*(name for name in parts if name in sys.modules))\n"
    )

    assert in_a_fresh_process(code, model_file) == []


def test_given_a_model_was_loaded_when_others_use_skops_then_it_trusts_what_it_always_does(
    model_file: Path,
) -> None:
    code = (
        f"{LOAD}\nimport skops.io, sklearn.cluster, sklearn.preprocessing, sklearn.utils\n"
        "from skops.io._general import SKLEARN_ESTIMATOR_TYPE_NAMES as names\n"
        "other = skops.io.dumps(sklearn.cluster.KMeans())\n"
        "assert skops.io.get_untrusted_types(data=other) == []\n"
        "assert type(skops.io.loads(other)).__name__ == 'KMeans'\n"
        "assert list(names) == [f'{each.__module__}.{each.__name__}'\n"
        "    for _, each in sklearn.utils.all_estimators()\n"
        "    if each.__module__.startswith('sklearn.')]\n"
        "import pandas\n"
        "import numpy, scipy.special, skops.io._general as general\n"
        "from skops.io._utils import get_public_type_names as search\n"
        "functions = general.SCIPY_UFUNC_TYPE_NAMES + general.NUMPY_UFUNC_TYPE_NAMES\n"
        "assert set(functions) == {name for module in (scipy.special, numpy)\n"
        "    for name in search(module, numpy.ufunc)}\n"
        "log = skops.io.dumps(sklearn.preprocessing.FunctionTransformer(numpy.log1p))\n"
        "assert skops.io.loads(log).func is numpy.log1p\n"
        "expit = skops.io.dumps(sklearn.preprocessing.FunctionTransformer(scipy.special.expit))\n"
        "assert skops.io.loads(expit).func is scipy.special.expit\n"
        "print('done')\n"
    )

    assert in_a_fresh_process(code, model_file) == ["done"]
