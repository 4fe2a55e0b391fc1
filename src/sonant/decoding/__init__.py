"""Decoding of network outputs: text, subtitles, speaker turns, class scores."""

from sonant.decoding.autoregressive import Hypothesis, beam_search, greedy

__all__ = ["Hypothesis", "beam_search", "greedy"]
