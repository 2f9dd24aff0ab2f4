import math

import pytest

from watchkeeper.errors import InvalidValueError
from watchkeeper.registry import Feature, Signature
from watchkeeper.serving.rows import rows_of_columns


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.5])
def test_given_no_whole_number_for_an_integer_when_read_then_its_row_is_named(
    value: float,
) -> None:
    signature = Signature((Feature("age", "integer"),))

    with pytest.raises(InvalidValueError, match=r"inputs\.age\[1\]"):
        rows_of_columns({"age": [2.0, value]}, signature, as_matrix=True, field="inputs")
