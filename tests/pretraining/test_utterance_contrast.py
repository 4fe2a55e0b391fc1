"""The contrast of utterances, against its formula."""

import math

import pytest
import torch

from sonant.pretraining.utterance_contrast import UtteranceContrast, UtteranceContrastConfig


def contrast() -> UtteranceContrast:
    torch.manual_seed(0)
    return UtteranceContrast(8, UtteranceContrastConfig(weight=1.0, projection_dim=6, temperature=0.3))


def test_the_loss_is_the_formula() -> None:
    """A frame alone in its utterance has no pair of that kind, and is left out."""
    module, clips = contrast(), [0, 0, 0, 1, 1, 2]
    frames = 3 * torch.randn(6, 8)
    loss, metrics = module(frames, torch.tensor(clips))
    vectors = module.projection(torch.layer_norm(frames, (8,)))
    expected = right = 0.0
    for i in range(5):
        terms: dict[bool, list[float]] = {True: [], False: []}
        correct: dict[bool, list[bool]] = {True: [], False: []}
        for j in range(6):
            if j != i:
                same = clips[i] == clips[j]
                cosine = torch.cosine_similarity(vectors[i], vectors[j], dim=0).item()
                terms[same].append(math.log1p(math.exp((-1 if same else 1) * cosine / 0.3)))
                correct[same].append((cosine > 0) == same)
        expected += sum(sum(each) / len(each) for each in terms.values()) / 2
        right += sum(sum(each) / len(each) for each in correct.values()) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["utterance_loss"] == (loss, 5)
    assert metrics["utterance_accuracy"][0].item() == pytest.approx(right, rel=1e-5)


def test_one_utterance_has_no_contrast() -> None:
    frames = torch.randn(4, 8, requires_grad=True)
    loss, metrics = contrast()(frames, torch.zeros(4, dtype=torch.int64))
    loss.backward()
    assert loss == 0
    assert metrics["utterance_loss"][1] == 0
    assert not frames.grad.any()


def test_the_order_of_frames_does_not_matter() -> None:
    frames, clips = torch.randn(9, 8), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    order = torch.randperm(9)
    losses = contrast()(frames, clips)[0], contrast()(frames[order], clips[order])[0]
    torch.testing.assert_close(*losses)


def test_utterances_come_apart_in_training() -> None:
    """Frames are what they say plus who says it; the contrast finds the latter."""
    torch.manual_seed(1)
    module = contrast()
    speakers, clips = torch.randn(4, 8), torch.arange(4).repeat_interleave(20)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(150):
        loss, metrics = module(speakers[clips] + torch.randn(80, 8), clips)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert metrics["utterance_accuracy"][0] / 80 > 0.8
