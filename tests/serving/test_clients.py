"""Clients that others wrote, unchanged."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from tests.servers import FLIGHTS, ROWS, ServerProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient


@pytest.fixture
def client(running: ServerProcess) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{running.port}")


@pytest.mark.parametrize("binary", [False, True])
def test_given_a_matrix_when_triton_infers_then_it_reads_predictions_and_probabilities(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    matrix = triton.InferInput("x", list(ROWS.shape), "FP64")
    matrix.set_data_from_numpy(ROWS, binary_data=binary)

    answer = client.infer("lr", [matrix], request_id="r-7")

    assert answer.get_response()["id"] == "r-7"
    assert answer.as_numpy("predict").tolist() == [0, 1] * 10
    assert answer.as_numpy("predict_proba").shape == (20, 2)


@pytest.mark.parametrize("binary", [False, True])
def test_given_a_tensor_a_feature_when_triton_infers_then_words_and_truth_values_arrive(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    inputs = []
    for name, datatype, kind in (
        ("distance", "FP32", np.float32),
        ("carrier", "BYTES", np.object_),
        ("night", "BOOL", np.bool_),
    ):
        inputs.append(triton.InferInput(name, [len(FLIGHTS)], datatype))
        inputs[-1].set_data_from_numpy(FLIGHTS[name].to_numpy().astype(kind), binary_data=binary)
    wanted = [triton.InferRequestedOutput("predict", binary_data=binary)]

    answer = client.infer("flights", inputs, outputs=wanted, model_version="1.0.0")

    assert answer.as_numpy("predict").tolist() == [0, 1] * 10


def test_given_a_compressed_request_when_triton_infers_then_it_is_answered(
    client: triton.InferenceServerClient,
) -> None:
    matrix = triton.InferInput("x", list(ROWS.shape), "FP64")
    matrix.set_data_from_numpy(ROWS, binary_data=False)

    answer = client.infer("lr", [matrix], request_compression_algorithm="gzip")

    assert answer.as_numpy("predict").tolist() == [0, 1] * 10


def test_given_the_server_when_triton_asks_then_it_is_live_ready_and_described(
    client: triton.InferenceServerClient,
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("lr")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "watchkeeper"
    assert client.get_model_metadata("lr")["versions"] == ["1"]


def test_given_a_mistake_when_triton_infers_then_it_reads_the_reason(
    client: triton.InferenceServerClient,
) -> None:
    matrix = triton.InferInput("x", [1, 3], "FP64")
    matrix.set_data_from_numpy(np.zeros((1, 3)), binary_data=False)

    with pytest.raises(triton.InferenceServerException, match="4 columns"):
        client.infer("lr", [matrix])


def test_given_a_frame_when_mlflow_scores_then_it_reads_the_predictions(
    running: ServerProcess,
) -> None:
    client: Any = ScoringServerClient("127.0.0.1", running.port)  # type: ignore[no-untyped-call]
    client.url_prefix = f"{running.url}/v1/models/flights"

    predictions = client.invoke(FLIGHTS).get_predictions()

    assert isinstance(predictions, pd.DataFrame)
    assert predictions.iloc[:, 0].tolist() == [0, 1] * 10


def test_given_an_array_when_mlflow_scores_then_it_reads_the_predictions(
    running: ServerProcess,
) -> None:
    client: Any = ScoringServerClient("127.0.0.1", running.port)  # type: ignore[no-untyped-call]
    client.ping()
    client.url_prefix = f"{running.url}/v1/models/lr"

    assert client.invoke(ROWS).get_predictions().iloc[:, 0].tolist() == [0, 1] * 10
