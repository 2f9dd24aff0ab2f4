"""What all tests share.

Property tests are not timed: a machine that does something else beside is no failure. And the
process of the tests keeps its priority, which `watchkeeper backup create` gives up for good: the
servers that later tests start from it would wait for everybody else.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _as_urgent_as_before() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "nice", lambda _: 0)
        yield
