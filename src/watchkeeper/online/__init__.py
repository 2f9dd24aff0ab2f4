"""Online learning: a model learns from labels as they arrive, each prediction scored first."""
