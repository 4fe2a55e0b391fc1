"""Limits on what comes in, request ids, health and logs."""
