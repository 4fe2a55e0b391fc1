"""Trials of a decoder's numbers: their values, and a plot of the error rates that they gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

# Ranges in which the decoders of wav2vec 2.0 (arXiv:2006.11477, appendix B) and HuBERT (fairseq's sweeps) are tuned.
RANGES = {
    "lm_weight": (0.0, 2.2),  # 0 to 5 for logarithms to base 10, which these decoders weight
    "word_score": (-5.0, 5.0),
    "silence_weight": (-10.0, 0.0),
    "rescoring_lm_weight": (0.0, 5.0),
    "rescoring_word_score": (-5.0, 5.0),
}


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        values: of the decoder's numbers, by name.
        errors: substitutions, deletions and insertions of words, summed over all recordings.
        words: of the references.
    """

    values: Mapping[str, float]
    errors: int
    words: int

    @property
    def wer(self) -> float:
        return self.errors / self.words


def trial_values(names: Sequence[str], count: int, *, seed: int) -> list[dict[str, float]]:
    """Return the values of each trial: points of a scrambled Sobol sequence, which fill the ranges evenly.

    The first ones of a longer sequence are those of a shorter one.
    """
    points = torch.quasirandom.SobolEngine(len(names), scramble=True, seed=seed).draw(count, dtype=torch.float64)
    ranges = torch.tensor([RANGES[name] for name in names], dtype=torch.float64)
    values = ranges[:, 0] + points * (ranges[:, 1] - ranges[:, 0])
    return [dict(zip(names, map(_rounded, row), strict=True)) for row in values.tolist()]


def _rounded(value: float) -> float:
    return round(value, 3)


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial with fewest errors; of several the one with the smallest values."""
    return min(trials, key=lambda trial: (trial.errors, sum(map(abs, trial.values.values()))))


def _label(name: str) -> str:
    return name.replace("_", " ").replace("lm ", "LM ")


def plot_trials(trials: Sequence[Trial], greedy: Trial, path: Path) -> None:
    """Plot the error rates of trials over each of their numbers, and over the first two together.

    Args:
        greedy: errors of greedy decoding, drawn as a line.
        path: file to write; its extension is the format.
    """
    from matplotlib.figure import Figure

    names, best = list(trials[0].values), best_trial(trials)
    rates = [100 * trial.wer for trial in trials]
    figure = Figure(figsize=(4.2 * (len(names) + (len(names) > 1)), 3.6), layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(1, len(names) + (len(names) > 1), number + 1)
        axes.scatter([trial.values[name] for trial in trials], rates, s=14, alpha=0.7)
        axes.scatter([best.values[name]], [100 * best.wer], s=90, marker="*", color="C3", zorder=3, label="best")
        axes.axhline(100 * greedy.wer, color="0.4", linestyle="--", linewidth=1, label="greedy")
        low, high = min([*rates, 100 * greedy.wer]), sorted([*rates, 100 * greedy.wer])[len(rates) * 3 // 4]
        axes.set_ylim(low - 0.05 * (high - low) - 0.1, high + 0.1 * (high - low) + 0.1)  # the worst quarter is cut
        axes.set(xlabel=_label(name), ylabel="WER, %")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if not number:
            axes.legend(frameon=False, fontsize=8)
    if len(names) > 1:
        axes = figure.add_subplot(1, len(names) + 1, len(names) + 1)
        across, up = names[:2]
        colored = axes.scatter(
            [trial.values[across] for trial in trials], [trial.values[up] for trial in trials],
            c=rates, s=32, cmap="viridis_r", vmax=sorted(rates)[len(rates) * 3 // 4],
        )  # fmt: skip
        axes.scatter([best.values[across]], [best.values[up]], s=110, marker="*", color="C3", zorder=3)
        axes.set(xlabel=_label(across), ylabel=_label(up))
        figure.colorbar(colored, ax=axes, label="WER, %")
    figure.savefig(path, dpi=110)
