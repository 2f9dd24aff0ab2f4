"""Policies: what settings, command line, HTTP and library may ask for, each declared once.

The name, the default and the range of a value stand at the field of its policy and nowhere else:
readers of settings and requests make these, and decisions take these.

>>> from watchkeeper.policies.rollouts import RolloutPolicy
>>> RolloutPolicy(min_samples=250).min_samples, RolloutPolicy().alpha
(250, 0.05)
>>> RolloutPolicy(alpha=5.0)
Traceback (most recent call last):
    ...
watchkeeper.errors.InvalidValueError: alpha is 5.0; expected a number above 0 and below 1.
"""
