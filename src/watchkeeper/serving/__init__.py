"""Serving: the data plane.

A request is decoded by its protocol, routed to a version, computed in a batch with other rows and
recorded before its response is sent. Predictions and labels from elsewhere are ingested here too.
"""
