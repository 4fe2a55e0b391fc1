"""Speakers who talk in each frame: permutation-free losses and errors, and classes that are sets of speakers."""

from functools import cached_property
from itertools import combinations, permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from sonant.layers.packed import Packed
from sonant.tasks.separation_loss import best_order, by_clip


def permutation_free_bce(logits: Packed, active: Tensor) -> Tensor:
    """Sum the binary cross-entropy over frames, speakers and clips, in the best order of the speakers of each clip.

    Args:
        logits: (total_frames, speakers).
        active: bool (total_frames, speakers).

    Source: Fujita et al., End-to-end neural speaker diarization, arXiv 1909.05952.
    """
    values = logits.values[:, :, None]  # (total_frames, outputs, 1)
    costs = F.softplus(values) - values * active[:, None].to(values.dtype)  # (total_frames, outputs, speakers)
    return active.shape[1] * best_order(by_clip(logits.with_values(costs))).sum()


def frame_errors(found: Packed, active: Tensor) -> tuple[Tensor, Tensor]:
    """Count the errors of the diarization error rate, and the speech, in frames of each clip: (batch,) both.

    Args:
        found: bool (total_frames, speakers).
        active: the true ones, bool (total_frames, speakers).
    """
    told, spoke = found.values.float(), active.float()
    common = best_order(by_clip(found.with_values(-told[:, :, None] * spoke[:, None]))) * -active.shape[1]
    most = by_clip(found.with_values(torch.maximum(told.sum(-1), spoke.sum(-1))))
    return most - common, by_clip(found.with_values(spoke.sum(-1)))


class Powerset:
    """Sets of speakers as classes: none, each alone, and each group of up to `max_at_once`.

    Attributes:
        num_speakers, max_at_once: as given.
        sets: numbers of the speakers of each class.

    Source: Plaquet and Bredin, Powerset multi-class cross entropy loss, arXiv 2310.13025.
    """

    def __init__(self, num_speakers: int, max_at_once: int) -> None:
        self.num_speakers, self.max_at_once = num_speakers, max_at_once
        self.sets = [each for size in range(max_at_once + 1) for each in combinations(range(num_speakers), size)]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text, such as "silence", "speaker_0" and "speaker_0+speaker_1"."""
        return tuple("+".join(f"speaker_{number}" for number in each) or "silence" for each in self.sets)

    def classes(self, active: Tensor) -> Tensor:
        """Return the set of those who speak, int64 (frames,), of bool (frames, speakers).

        Where more speak than a set holds it is the first of the largest sets of them.
        """
        members = self._members.to(active.device)
        return (active.to(members.dtype) @ members.T - members.sum(1) / 2).argmax(-1)

    def activity(self, logits: Tensor) -> Tensor:
        """Return the probability of each speaker, (frames, speakers): the sum over the sets that they are in."""
        return logits.softmax(-1) @ self._members.to(logits)

    def loss(self, logits: Packed, active: Tensor) -> Tensor:
        """Sum the cross-entropy over frames and clips, in the best order of the speakers of each clip.

        Args:
            logits: (total_frames, sets).
            active: bool (total_frames, speakers).
        """
        costs = -logits.values.log_softmax(-1)  # (total_frames, sets)
        orders = [active[:, list(order)] for order in permutations(range(self.num_speakers))]
        wanted = torch.stack([self.classes(each) for each in orders], dim=-1)  # (total_frames, permutations)
        return by_clip(logits.with_values(costs.gather(-1, wanted))).amin(-1).sum()

    @cached_property
    def _members(self) -> Tensor:
        """Speakers of each set, float32 (sets, speakers)."""
        rows = [[float(speaker in each) for speaker in range(self.num_speakers)] for each in self.sets]
        return torch.tensor(rows)
