"""Blocks on padded batches (batch, time), which can be traced into a graph."""
