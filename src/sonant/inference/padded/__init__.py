"""Blocks and models on padded speech, (batch, time): what can be traced into a graph, as packed speech cannot."""
