"""Batches of labeled recordings: whole, each once an epoch, changed only where that is asked for."""

from typing import Any

import numpy as np
import pytest
import torch

from sonant.data import WaveformStore, read_manifest
from sonant.models import WavLMConfig, build
from sonant.training.tasks.batches import Augmentation, LabeledBatches, LabeledBatching
from sonant.training.tasks.targets import LabeledSegments
from tests.shapes import TINY
from tests.training.tasks.tones import write_tones

BACKBONE = build(WavLMConfig(**TINY))
BATCHING = LabeledBatching(batch_seconds=1.5, max_seconds=1.0)


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    folder = tmp_path_factory.mktemp("tones")
    return WaveformStore.build(read_manifest(write_tones(folder / "tones", 3)), folder / "waveforms")


def batches(waveforms: WaveformStore, **more: Any) -> LabeledBatches:
    units = [torch.tensor([number] * (1 + number % 3)) for number in range(len(waveforms))]
    settings = {"targets": units, "batching": BATCHING, "recordings": range(1, len(waveforms))} | more
    return LabeledBatches(waveforms, backbone=BACKBONE, **settings)


def test_each_recording_comes_once_an_epoch_with_its_label(waveforms: WaveformStore) -> None:
    made = batches(waveforms)
    seen = []
    for step in range(len(made)):
        batch = made[step]
        assert batch.mask is None
        assert batch.masked_channels is None
        for clip, units in zip(batch.speech, batch.targets, strict=True):
            number = int(units[0])
            assert np.array_equal(clip.numpy(), waveforms[number])
            assert units.tolist() == [number] * (1 + number % 3)
            seen.append(number)
    assert sorted(seen) == list(range(1, len(waveforms)))


def test_ranks_share_the_batches_of_one(waveforms: WaveformStore) -> None:
    alone, ranks = batches(waveforms), [batches(waveforms, rank=rank, world=2) for rank in range(2)]
    for number in range(8):
        ours, theirs = alone[number], ranks[number % 2][number // 2]
        assert torch.equal(ours.speech.values, theirs.speech.values)


def test_segments_become_targets_of_frames_at_the_speed_of_the_recording(waveforms: WaveformStore) -> None:
    halves = [LabeledSegments([(0.0, length / 32_000, 0), (0.1, 9.0, 1)], 2) for length in waveforms.lengths.tolist()]
    for speed in (1.0, 0.8):
        batch = batches(waveforms, targets=halves, augmentation=Augmentation(speeds=(speed,)))[0]
        for clip, target in zip(batch.speech, batch.targets, strict=True):
            assert len(target) == BACKBONE.num_frames(len(clip))
            assert target[:, 0].sum() == pytest.approx(len(clip) / 320 / 2, abs=1)
            assert (~target[:, 1]).sum() == round(0.1 / speed * 50)


def test_speed_changes_length_and_pitch(waveforms: WaveformStore) -> None:
    plain, fast = batches(waveforms), batches(waveforms, augmentation=Augmentation(speeds=(1.25,)))
    for clip, changed in zip(plain[0].speech, fast[0].speech, strict=True):
        assert len(changed) == pytest.approx(len(clip) / 1.25, abs=1)
        peaks = [float(np.abs(np.fft.rfft(each)).argmax() / len(each)) for each in (clip.numpy(), changed.numpy())]
        assert peaks[1] == pytest.approx(1.25 * peaks[0], rel=0.02)


def test_a_speed_that_leaves_too_few_frames_is_not_taken(waveforms: WaveformStore) -> None:
    least = [BACKBONE.num_frames(int(length)) for length in waveforms.lengths]
    least[2] = 1
    made = batches(waveforms, augmentation=Augmentation(speeds=(1.25,)), min_frames=least)
    for step in range(len(made)):
        for clip, units in zip(made[step].speech, made[step].targets, strict=True):
            number = int(units[0])
            assert (len(clip) < waveforms.lengths[number]) == (number == 2)


def test_masks_cover_the_share_that_is_asked_for(waveforms: WaveformStore) -> None:
    made = batches(
        waveforms, augmentation=Augmentation(time_fraction=0.5, time_length=2, channel_fraction=0.5, channel_length=2)
    )
    drawn = [made[step] for step in range(40)]
    masks, channels = [batch.mask for batch in drawn], [batch.masked_channels for batch in drawn]
    assert all(mask is not None and len(mask) == sum(map(BACKBONE.num_frames, batch.speech.sizes))
               for mask, batch in zip(masks, drawn, strict=True))  # fmt: skip
    assert 0.3 < float(torch.cat([mask for mask in masks if mask is not None]).float().mean()) < 0.5
    assert all(each is not None and each.shape == (len(batch.speech), BACKBONE.dim)
               for each, batch in zip(channels, drawn, strict=True))  # fmt: skip
    assert 0.3 < float(torch.cat([each for each in channels if each is not None]).float().mean()) < 0.5
    assert torch.equal(made[3].speech.values, drawn[3].speech.values)


def test_masked_channels_are_zero_before_the_encoder(waveforms: WaveformStore) -> None:
    backbone = build(WavLMConfig(**TINY)).eval()
    speech = batches(waveforms)[0].speech
    masked = torch.zeros(len(speech), backbone.dim, dtype=torch.bool)
    masked[0, 3:6] = True
    with torch.no_grad():
        features = backbone.features(speech)
        plain, found = backbone.encode(features), backbone.encode(features, masked_channels=masked)
        backbone.projection.linear.weight[3:6] = 0.0
        backbone.projection.linear.bias[3:6] = 0.0
        expected = backbone.encode(features)
    first = int(plain.lengths[0])
    assert torch.allclose(found.last[:first], expected.last[:first], atol=1e-5)
    assert torch.allclose(found.last[first:], plain.last[first:], atol=1e-5)
    assert not torch.allclose(found.last[:first], plain.last[:first], atol=1e-3)


@pytest.mark.parametrize("cached", [False, True])
def test_crops_are_consecutive_and_drawn_anew(cached: bool, waveforms: WaveformStore) -> None:
    """Of a waveform, or of the frames of its cached states; what is shorter, or longer than max_seconds, stays in."""
    counted = {number: np.arange(BACKBONE.num_frames(int(length)), dtype=np.float32)[:, None, None]
               for number, length in enumerate(waveforms.lengths)}  # fmt: skip
    batching = LabeledBatching(batch_seconds=1.5, max_seconds=0.25)
    crop = Augmentation(crop_seconds=0.25)
    made = batches(waveforms, batching=batching, augmentation=crop, states=counted if cached else None)
    starts: dict[int, set[int]] = {}
    for step in range(3 * len(made)):
        batch = made[step]
        for clip, units in zip(batch.states if cached else batch.speech, batch.targets, strict=True):
            number = int(units[0])
            whole = counted[number] if cached else waveforms[number]
            length = min(4_000, int(waveforms.lengths[number]))
            assert len(clip) == (BACKBONE.num_frames(length) if cached else length)
            places = [
                at for at in range(len(whole) - len(clip) + 1) if np.array_equal(whole[at : at + len(clip)], clip)
            ]
            starts.setdefault(number, set()).update(places)
    assert starts.keys() == set(range(1, len(waveforms)))
    assert sum(len(each) > 1 for each in starts.values()) > len(waveforms) / 2
