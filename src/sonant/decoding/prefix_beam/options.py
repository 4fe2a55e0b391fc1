"""Options of a beam search over emissions."""

from dataclasses import dataclass
from math import inf, isfinite

from sonant.errors import ConfigurationError

MOST = 10_000  # hypotheses


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """Options of a beam search, in the terms of wav2vec 2.0's paper and of flashlight.

    Attributes:
        beam: hypotheses that are kept at each frame.
        beam_threshold: hypotheses whose score is lower than the best one's by more are dropped.
        beam_tokens: most probable tokens of each frame, by which hypotheses are extended; None: all.
        lm_weight: factor of the language model's natural log-probabilities. Those of flashlight and fairseq are to
            base 10: their 2 is 2 / ln(10) = 0.87 here.
        word_score: added to the score for each word; above 0 it makes texts longer.
        silence_weight: added to the score for each frame that is a word delimiter; flashlight's `sil_score`.
        unknown_score: added to the score for each word that the language model does not know.
        hot_word_score: added to the score for each hot word or phrase.
        look_ahead: whether the unfinished words of a lexicon get the language model's highest score of a word that they
            may become, at the beginning of a text: flashlight's smearing MAX.
        n_best: hypotheses that are returned for each recording, at most `beam`.
    """

    beam: int = 50
    beam_threshold: float = 50.0
    beam_tokens: int | None = None
    lm_weight: float = 0.87
    word_score: float = 0.0
    silence_weight: float = 0.0
    unknown_score: float = -10.0
    hot_word_score: float = 10.0
    look_ahead: bool = True
    n_best: int = 1

    def __post_init__(self) -> None:
        for name in ("beam", "beam_tokens", "n_best"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name}={value} was given; expected at least 1.")
        if self.beam > MOST:
            raise ConfigurationError(
                f"A beam of {self.beam} was asked for, or as many texts; expected at most {MOST}: memory grows with "
                "it, and beyond hundreds hardly anything better is found."
            )
        if self.n_best > self.beam:
            raise ConfigurationError(
                f"n_best={self.n_best} hypotheses were asked for of a beam of {self.beam}; expected at most as many as "
                "the beam keeps."
            )
        if not self.beam_threshold > 0:
            raise ConfigurationError(f"beam_threshold={self.beam_threshold} was given; expected a number above 0.")
        if not 0 <= self.lm_weight < inf:
            raise ConfigurationError(f"lm_weight={self.lm_weight} was given; expected a number from 0.")
        for name in ("word_score", "silence_weight", "hot_word_score"):
            if not isfinite(getattr(self, name)):
                raise ConfigurationError(f"{name}={getattr(self, name)} was given; expected a finite number.")
        if not self.unknown_score < inf:
            raise ConfigurationError(f"unknown_score={self.unknown_score} was given; expected a number, or -inf.")
