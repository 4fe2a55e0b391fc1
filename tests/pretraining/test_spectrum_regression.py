"""The start of the extractor: what it learns from, and that it learns."""

import torch

from sonant.audio.mel import fbank
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from sonant.pretraining import SpectrumRegression, SpeechBatch


def regression(config: WavLMConfig) -> SpectrumRegression:
    torch.manual_seed(0)
    return SpectrumRegression(build(config), num_bins=10)


def batch(samples: list[int], level: float = 0.1) -> SpeechBatch:
    generator = torch.Generator().manual_seed(0)
    speech = Packed.pack([level * torch.randn(n, generator=generator) for n in samples])
    return SpeechBatch(speech, torch.zeros(0, dtype=torch.bool))


def test_targets_stand_at_the_frames_of_the_extractor_and_have_no_mean(tiny: WavLMConfig) -> None:
    objective = regression(tiny)
    clips = batch([8_000, 5_123])
    targets = objective.targets(clips.speech)
    frames = objective.features(clips.speech).lengths.tolist()
    assert len(targets) == sum(frames)
    for clip, rows in zip(clips.speech, targets.split(frames), strict=True):
        assert rows.mean(0).abs().max() < 1e-4
        energies = fbank(clip, num_bins=10)
        torch.testing.assert_close(rows[3] - rows[1], (energies[6] - energies[2]) / 2.5, rtol=1e-4, atol=1e-4)


def test_the_level_of_a_clip_does_not_matter(tiny: WavLMConfig) -> None:
    objective = regression(tiny)
    loud, soft = (objective.targets(batch([8_000], level).speech) for level in (0.5, 0.05))
    torch.testing.assert_close(loud, soft, rtol=1e-3, atol=1e-3)


def test_the_extractor_learns(tiny: WavLMConfig) -> None:
    objective = regression(tiny)
    optimizer = torch.optim.Adam(objective.parameters(), 1e-2)
    clips = batch([16_000, 16_000])
    losses = []
    for _ in range(30):
        loss = objective(clips)
        (loss.sum / loss.count).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.sum.item() / loss.count)
    assert losses[-1] < 0.8 * losses[0]
