"""BEST-RQ's labels: of every frame of the backbone, from its own samples, without any fitting."""

from pathlib import Path

import numpy as np
import torch

from sonant.audio.mel import stacked_fbank
from sonant.data import WaveformStore
from sonant.layers.random_projection import RandomProjectionQuantizer
from sonant.models import W2vBERT2Config, WavLMConfig, build
from sonant.pretraining import (
    Batching,
    MaskedPrediction,
    MaskedPredictionConfig,
    RandomProjectionTargets,
    SpeechBatches,
    make_targets,
)

TARGETS = RandomProjectionTargets(codebook_size=300, seed=4)
CONFORMER = W2vBERT2Config(dim=16, num_layers=2, num_heads=2, feed_forward_dim=20, conv_kernel=5)


def test_labels_are_codes_of_the_frame_they_stand_at(waveforms: WaveformStore, tmp_path: Path) -> None:
    labels = make_targets(waveforms, TARGETS, tmp_path / "targets")
    assert not (tmp_path / "targets" / "kmeans.safetensors").exists()
    quantizer = RandomProjectionQuantizer(160, codebook_size=300, seed=4)
    for number in range(len(waveforms)):
        expected = quantizer(stacked_fbank(torch.from_numpy(waveforms[number])))[:, 0]
        np.testing.assert_array_equal(labels[number][: len(expected)], expected.numpy())
    assert len(np.unique(np.concatenate([labels[number] for number in range(len(waveforms))]))) > 20


def test_both_kinds_of_models_have_a_label_for_every_frame(
    tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path
) -> None:
    """A model on waveforms has one frame more than a conformer at the end of some clips."""
    labels = make_targets(waveforms, TARGETS, tmp_path / "targets")
    models = [build(tiny), build(CONFORMER)]
    counts = [[model.num_frames(len(waveforms[number])) for number in range(len(waveforms))] for model in models]
    assert [len(labels[number]) for number in range(len(waveforms))] == counts[0]
    assert counts[0] != counts[1]
    assert all(0 <= wave - mel <= 1 for wave, mel in zip(*counts, strict=True))


def test_labels_do_not_hear_the_level(waveforms: WaveformStore, tmp_path: Path) -> None:
    class Softer(WaveformStore):
        def __getitem__(self, number: int) -> np.ndarray:
            return super().__getitem__(number) / 2

    labels = make_targets(waveforms, TARGETS, tmp_path / "plain")
    softer = make_targets(Softer(tmp_path / "waveforms"), TARGETS, tmp_path / "softer")
    assert np.mean([np.mean(labels[number] == softer[number]) for number in range(len(waveforms))]) > 0.99


def test_a_conformer_and_a_wavlm_learn_from_them(tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path) -> None:
    labels = make_targets(waveforms, TARGETS, tmp_path / "targets")
    config = MaskedPredictionConfig(targets=TARGETS, feature_penalty=0.0, projection_dim=12)
    for shape in (CONFORMER, tiny):
        torch.manual_seed(0)
        backbone = build(shape)
        objective = MaskedPrediction(backbone, config)
        batching = Batching(batch_seconds=6.0, max_seconds=2.0, min_seconds=0.5, fill="shortest")
        batches = SpeechBatches(waveforms, backbone, batching=batching, masking=config.masking, labels=labels)
        optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
        batch, losses = batches[0], []
        for _ in range(12):
            loss = objective(batch)
            (loss.sum / loss.count).backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.sum.item() / loss.count)
        assert losses[-1] < 0.8 * losses[0]
