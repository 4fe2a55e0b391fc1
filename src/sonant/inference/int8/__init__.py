"""Integers of eight bits: smoothed inputs, a check against float32, and blocks kept in floats where it fails."""
