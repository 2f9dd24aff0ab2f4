"""Monitoring: every read. Assessments now and over time, history, replay, time series.

Nothing here changes the state of a model, a rollout, an experiment or an incident.
"""
