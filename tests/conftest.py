"""Property tests are not timed: a machine that does something else beside is no failure."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
