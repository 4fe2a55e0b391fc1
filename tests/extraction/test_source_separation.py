"""Enhancement and separation of recordings of any length."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.cli import main
from sonant.errors import ConfigurationError
from sonant.extraction.source_separation import matching_sources
from sonant.layers.packed import Packed
from sonant.tasks import MaskedMixture, MaskHead
from tests.heads import write_masks
from tests.training.tasks.mixed_voices import write_rows

NOISE = np.random.default_rng(0).normal(0, 0.1, 40_123).astype(np.float32)
WINDOWS = {"window_seconds": 1.0, "overlap_seconds": 0.3}


@pytest.fixture(scope="module")
def separator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_masks(tmp_path_factory.mktemp("models") / "separation")


def halves(calls: list[int]) -> Any:
    """Return masks of 0.75 and 0.25, whose order changes from window to window."""

    def forward(head: MaskHead, states: Packed, speech: Packed, grid: Any) -> MaskedMixture:
        stft = head.network.stft
        spectrum = stft(speech)
        masks = torch.tensor([0.75, 0.25] if len(calls) % 2 else [0.25, 0.75])
        calls.append(len(speech.values))
        shaped = masks[:, None].expand(len(spectrum.values), 2, stft.num_bins)
        return MaskedMixture(spectrum, spectrum.with_values(shaped), speech.lengths, stft)

    return forward


def test_a_speaker_keeps_his_place_and_no_sample_is_lost(separator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(MaskHead, "forward", halves(calls))
    found = sonant.load(separator).separate(NOISE, **WINDOWS)
    assert len(calls) > 2
    np.testing.assert_allclose(found, [0.25 * NOISE, 0.75 * NOISE], atol=1e-5)


def test_a_recording_in_a_batch_is_the_recording_alone(separator: Path) -> None:
    model = sonant.load(separator)
    recordings = [NOISE[:9_000], NOISE, NOISE[:5_000]]
    together = model.separate(recordings)
    for recording, found in zip(recordings, together, strict=True):
        assert found.shape == (2, len(recording))
        np.testing.assert_allclose(found, model.separate(recording), atol=1e-5)
    with pytest.raises(ConfigurationError, match="Give overlap_seconds"):
        model.separate(NOISE, window_seconds=1.0, overlap_seconds=0.0)
    with pytest.raises(ConfigurationError, match="cannot be asked for enhancement"):
        model.enhance(NOISE)


def test_folders_are_separated_and_bad_files_listed(separator: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/a.wav", NOISE[:22_050], 22_050)
    (tmp_path / "in/b.wav").write_bytes(b"no audio")
    assert main(["separate", str(tmp_path / "in"), "-m", str(separator), "-o", str(tmp_path / "out")]) == 1
    samples, rate = soundfile.read(tmp_path / "out/speaker_2/a.wav")
    assert (len(samples), rate) == (16_000, 16_000)
    (error,) = map(json.loads, (tmp_path / "out/errors.jsonl").read_text().splitlines())
    assert error["path"].endswith("b.wav")


def test_one_recording_is_enhanced_into_one_file(tmp_path: Path) -> None:
    model = write_masks(tmp_path / "model", kind="enhancement")
    soundfile.write(tmp_path / "a.wav", NOISE[:8_000], 16_000)
    assert main(["enhance", str(tmp_path / "a.wav"), "-m", str(model), "-o", str(tmp_path / "b.wav")]) == 0
    samples, _ = soundfile.read(tmp_path / "b.wav", dtype="float32")
    np.testing.assert_allclose(samples, sonant.load(model).enhance(tmp_path / "a.wav"), atol=1e-6)


def test_recordings_are_not_replaced_by_their_results(separator: Path, tmp_path: Path) -> None:
    """Neither in their own folder, nor through a link, nor as parts of mixtures."""
    calls, speaker = tmp_path / "calls", tmp_path / "speaker_1"
    for folder in (calls, speaker):
        folder.mkdir()
        soundfile.write(folder / "a.wav", NOISE, 16_000)
    (tmp_path / "link").symlink_to(calls)
    write_rows(tmp_path / "mixed.jsonl", [{"id": "a", "mix": [{"path": "calls/a.wav"}]}])
    before = (calls / "a.wav").read_bytes()
    enhancer = sonant.load(write_masks(tmp_path / "model", kind="enhancement"))
    for source, output in [("calls", "calls"), ("calls/a.wav", "link"), ("calls", "link"), ("mixed.jsonl", "calls")]:
        with pytest.raises(ConfigurationError, match=r"a\.wav' would be replaced by its result.*Give another output"):
            enhancer.write_enhanced(tmp_path / source, tmp_path / output)
    write_rows(tmp_path / "one.jsonl", [{"path": "calls/a.wav"}])
    with pytest.raises(ConfigurationError, match="would be replaced by its result"):
        enhancer.write_enhanced(tmp_path / "one.jsonl", calls / "a.wav")
    with pytest.raises(ConfigurationError, match="would be replaced by its result"):
        sonant.load(separator).write_separated(speaker, tmp_path)
    assert sorted(calls.iterdir()) == [calls / "a.wav"]
    assert before == (calls / "a.wav").read_bytes() == (speaker / "a.wav").read_bytes()
    assert enhancer.write_enhanced(calls, calls / "enhanced").computed == 1


def test_the_nearest_order_is_found() -> None:
    voices = np.random.default_rng(1).normal(size=(3, 100)).astype(np.float32)
    assert matching_sources(voices, voices[[2, 0, 1]] + 0.1).tolist() == [1, 2, 0]
