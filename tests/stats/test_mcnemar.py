import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from watchkeeper.errors import InvalidValueError
from watchkeeper.stats.mcnemar import mcnemar


@pytest.mark.parametrize("counts", [(10, 30), (0, 5), (7, 7), (121, 59), (1, 0)])
def test_given_discordant_pairs_when_tested_then_it_is_statsmodels(counts: tuple[int, int]) -> None:
    first, second = counts
    theirs = statsmodels_mcnemar([[50, first], [second, 20]], exact=True)
    assert mcnemar(first, second) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_given_no_discordant_pairs_or_a_negative_count_when_tested_then_it_is_1_or_refused() -> (
    None
):
    assert mcnemar(0, 0) == 1.0
    with pytest.raises(InvalidValueError):
        mcnemar(-1, 3)
