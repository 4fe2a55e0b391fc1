"""Decoding of a network's outputs to text."""

from sonant.decoding.autoregressive import Hypothesis, beam_search, greedy

__all__ = ["Hypothesis", "beam_search", "greedy"]
