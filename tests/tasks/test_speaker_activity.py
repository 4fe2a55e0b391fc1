"""Permutation-free losses of diarization, and sets of speakers as classes."""

from itertools import permutations

import pytest
import torch
from torch.nn import functional as F

from sonant.decoding.speaker_turns import turns
from sonant.evaluation import diarization_error
from sonant.layers.packed import Packed
from sonant.tasks import Powerset, frame_errors, permutation_free_bce

LENGTHS = (7, 1, 12)
draw = torch.Generator().manual_seed(0)
ACTIVE = torch.rand(sum(LENGTHS), 3, generator=draw) < 0.4
POWERSET = Powerset(3, 2)


def packed(width: int) -> Packed:
    return Packed(torch.randn(sum(LENGTHS), width, generator=torch.Generator().manual_seed(1)), torch.tensor(LENGTHS))


def clips(logits: Packed) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(logits, ACTIVE.split(LENGTHS), strict=True))


def test_each_clip_has_the_order_of_speakers_with_the_least_loss() -> None:
    logits = packed(3)
    least = [
        min(F.binary_cross_entropy_with_logits(ours, theirs[:, order].float(), reduction="sum") for order in ORDERS)
        for ours, theirs in clips(logits)
    ]
    assert float(permutation_free_bce(logits, ACTIVE)) == pytest.approx(float(sum(least)), rel=1e-5)


ORDERS = list(permutations(range(3)))


def test_the_powerset_loss_is_the_least_over_orders() -> None:
    logits = packed(len(POWERSET.sets))
    least = [
        min(F.cross_entropy(ours, POWERSET.classes(theirs[:, order]), reduction="sum") for order in ORDERS)
        for ours, theirs in clips(logits)
    ]
    assert float(POWERSET.loss(logits, ACTIVE)) == pytest.approx(float(sum(least)), rel=1e-5)
    shuffled = ACTIVE.clone()
    shuffled[:7] = shuffled[:7, [2, 0, 1]]
    assert float(POWERSET.loss(logits, shuffled)) == pytest.approx(float(sum(least)), rel=1e-5)


def test_sets_stand_for_those_who_speak() -> None:
    assert POWERSET.names[:2] == ("silence", "speaker_0")
    assert POWERSET.names[-1] == "speaker_1+speaker_2"
    assert len(POWERSET.sets) == 1 + 3 + 3
    everyone = torch.cartesian_prod(*[torch.tensor([False, True])] * 3)
    sure = 50 * F.one_hot(POWERSET.classes(everyone), len(POWERSET.sets)).float()
    found = POWERSET.activity(sure) > 0.5
    assert torch.equal(found[:-1], everyone[:-1])
    assert found[-1].tolist() == [True, True, False]  # no set of three


def test_errors_of_frames_are_those_of_turns() -> None:
    found = packed(3).with_values(packed(3).values > 0.2)
    errors, speech = frame_errors(found, ACTIVE)
    for number, (told, spoke) in enumerate(clips(found)):
        spans = [turns(each.numpy(), frame_rate=1, median_seconds=1, min_turn_seconds=0) for each in (spoke, told)]
        exact = diarization_error(*spans)
        assert (float(errors[number]), float(speech[number])) == (exact.error_seconds, exact.speech_seconds)
