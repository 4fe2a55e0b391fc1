"""Blocks and models on padded batches (batch, time), which can be traced into a graph."""
