"""Profiles: what is kept of a dataset so that later ones can be compared with it.

>>> from watchkeeper.profiles import Profile
>>> day = Profile.of({"plan": ["basic", "pro"]}).merge(Profile.of({"plan": ["pro", None]}))
>>> day.rows, day.columns["plan"].counts(), day.columns["plan"].missing
(4, {'pro': 2, 'basic': 1}, 1)
>>> Profile.from_bytes(day.to_bytes()) == day
True
"""

from watchkeeper.profiles.categories import CategoryProfile, EmptyProfile
from watchkeeper.profiles.column_profiles import ColumnProfile
from watchkeeper.profiles.numbers import NumberProfile
from watchkeeper.profiles.profile import Profile

__all__ = ["CategoryProfile", "ColumnProfile", "EmptyProfile", "NumberProfile", "Profile"]
