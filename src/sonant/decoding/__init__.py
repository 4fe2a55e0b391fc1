"""Decoding of network outputs: text, subtitles, speaker turns, class scores."""

from sonant.decoding.autoregressive import TokenHypothesis, TokenSearch, beam_search

__all__ = ["TokenHypothesis", "TokenSearch", "beam_search"]
