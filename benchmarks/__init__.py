"""Benchmarks against other implementations, probes of models, and load tests of the server."""
