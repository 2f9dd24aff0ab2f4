"""Alerting: rules for Prometheus, routes for Alertmanager, Grafana dashboards and the runbook."""
