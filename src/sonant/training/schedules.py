"""Learning rate schedules, as shares of the peak learning rate."""

from dataclasses import dataclass
from math import cos, pi

from sonant.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class TriStage:
    """Linear warm-up, constant peak, exponential decay (each a share of the run), then `final_scale`.

    Source: SpecAugment (arXiv 1904.08779); fairseq `tri_stage_lr_scheduler.py`.
    """

    warmup: float = 0.1
    hold: float = 0.4
    decay: float = 0.5
    initial_scale: float = 0.01
    final_scale: float = 0.05

    def __post_init__(self) -> None:
        _check_shares(self.warmup, self.hold, self.decay)

    def scale(self, step: int, steps: int) -> float:
        """Return the share of the peak at `step` of `steps`."""
        done = step / steps
        if done < self.warmup:
            return self.initial_scale + (1 - self.initial_scale) * done / self.warmup
        if done < self.warmup + self.hold:
            return 1.0
        decayed = min(1.0, (done - self.warmup - self.hold) / self.decay) if self.decay > 0 else 1.0
        return self.final_scale**decayed


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Linear warm-up, then linear decay to zero, as for wav2vec 2.0, HuBERT and WavLM."""

    warmup: float = 0.08

    def __post_init__(self) -> None:
        _check_shares(self.warmup)

    def scale(self, step: int, steps: int) -> float:
        """Return the share of the peak at `step` of `steps`."""
        warmup = self.warmup * steps
        return (step + 1) / (warmup + 1) if step < warmup else (steps - step) / (steps - warmup)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Linear warm-up, then half a cosine to `final_scale`. Defaults: wav2vec, 400,000 steps with a peak of 5e-3.

    Source: SGDR without restarts (arXiv 1608.03983); fairseq `cosine_lr_scheduler.py`.
    """

    warmup: float = 0.00125
    initial_scale: float = 2e-5
    final_scale: float = 2e-4

    def __post_init__(self) -> None:
        _check_shares(self.warmup)

    def scale(self, step: int, steps: int) -> float:
        """Return the share of the peak at `step` of `steps`."""
        warmup = self.warmup * steps
        if step < warmup:
            return self.initial_scale + (1 - self.initial_scale) * step / warmup
        done = (step - warmup) / (steps - warmup)
        return self.final_scale + (1 - self.final_scale) * (1 + cos(pi * done)) / 2


Schedule = TriStage | Linear | Cosine


def _check_shares(*shares: float) -> None:
    if any(share < 0 for share in shares) or sum(shares) > 1:
        raise ConfigurationError(f"The stages of a schedule are shares of the run, at most 1 in all; got {shares}.")
