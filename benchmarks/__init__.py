"""Measurements against the peers, and the peers' own models with our weights; tests use the latter."""
