"""Prefix beam search over the emissions of a CTC head."""

from sonant.decoding.prefix_beam.decoder import PrefixBeamDecoder
from sonant.decoding.prefix_beam.lexicon import Lexicon
from sonant.decoding.prefix_beam.options import BeamSearch

__all__ = ["BeamSearch", "Lexicon", "PrefixBeamDecoder"]
