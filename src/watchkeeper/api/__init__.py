"""The control API: everything over HTTP beside predictions and ingest, and its OpenAPI document."""
