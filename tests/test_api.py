"""The public door, on a small model with random weights."""

import gzip
import io
import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.checkpoints import save_pretrained
from sonant.errors import AudioError, CheckpointUnavailable, ConfigurationError, UnknownName
from sonant.models import HuBERTConfig, Wav2Vec2Config, WavLMConfig, build, normalize_waveform
from sonant.models.catalog import CATALOG
from sonant.models.families import presets
from tests.shapes import SMALL

RATE = 16_000
CONFIG = WavLMConfig(**SMALL)


def make(config=CONFIG) -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(build(config).eval(), name="tiny")


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return make()


def clip(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def as_wav(wave: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_public_names_are_found() -> None:
    assert sonant.SpeechEncoder is SpeechEncoder
    assert callable(sonant.load)
    assert {"load", "SpeechEncoder"} <= set(dir(sonant))
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = sonant.laod


def test_shapes(encoder: SpeechEncoder) -> None:
    wave = clip(1)
    assert (encoder.dim, encoder.num_layers, encoder.frame_rate, encoder.sampling_rate) == (32, 4, 50.0, RATE)
    shapes = {
        (49, 32): {},
        (5, 49, 32): {"layer": "all"},
        (2, 49, 32): {"layer": [1, "last"]},
        (1, 49, 32): {"layer": [2]},
        (32,): {"pool": "mean"},
        (64,): {"pool": "mean+std"},
        (3, 32): {"layer": [1, 2, 3], "pool": "max"},
    }
    for shape, how in shapes.items():
        result = encoder.encode(wave, **how)
        assert result.shape == shape
        assert result.dtype == np.float32


def test_one_gives_one_and_many_give_many_in_order(encoder: SpeechEncoder) -> None:
    clips = [clip(seconds, i) for i, seconds in enumerate((0.5, 2.0, 0.1))]
    together = encoder.encode(clips)
    assert isinstance(together, list)
    for wave, result in zip(clips, together, strict=True):
        np.testing.assert_allclose(result, encoder.encode(wave), rtol=1e-4, atol=1e-5)
    assert [len(result) for result in encoder.encode(iter(clips))] == [len(result) for result in together]
    assert encoder.encode([]) == []
    assert isinstance(encoder.encode([clips[0]]), list)


def test_every_form_of_a_recording_gives_the_same(encoder: SpeechEncoder, tmp_path: Path) -> None:
    wave = clip(0.5)
    path = tmp_path / "a.wav"
    path.write_bytes(as_wav(wave))

    class Pipe(io.RawIOBase):
        """Cannot seek, like an upload."""

        def __init__(self) -> None:
            self.data = io.BytesIO(as_wav(wave))

        def read(self, size: int = -1) -> bytes:
            return self.data.read(size)

        def readable(self) -> bool:
            return True

    forms = [
        wave,
        torch.from_numpy(wave),
        wave.tolist(),
        np.stack([wave, wave], axis=1),
        (torch.from_numpy(wave)[None], RATE),
        (RATE, wave),
        str(path),
        path,
        as_wav(wave),
        io.BytesIO(as_wav(wave)),
        Pipe(),
        {"array": wave, "sampling_rate": RATE},
    ]
    expected = encoder.encode(wave)
    for form, result in zip(forms, encoder.encode(forms), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5, err_msg=type(form).__name__)
    for form in (wave.tolist(), Pipe(), path):
        np.testing.assert_allclose(encoder.encode(form), expected, rtol=1e-4, atol=1e-5)


def test_bare_arrays_are_resampled_from_the_rate_that_is_told(encoder: SpeechEncoder) -> None:
    wave = clip(1)
    assert len(encoder.encode(wave, sampling_rate=8000)) == 99
    assert len(encoder.encode(as_wav(wave), sampling_rate=8000)) == 49  # a file keeps its own
    with pytest.raises(AudioError, match="cannot have both"):
        encoder.encode({"array": wave, "sampling_rate": RATE}, sampling_rate=8000)


def test_a_batch_in_one_array_is_refused_and_in_a_list_is_a_batch(encoder: SpeechEncoder) -> None:
    batch = np.stack([clip(1, seed) for seed in range(4)])
    for values in (batch, torch.from_numpy(batch), torch.from_numpy(batch)[:, None]):
        with pytest.raises(AudioError, match=r"list\(array\)"):
            encoder.encode(values)
        assert len(encoder.encode(list(values))) == 4


class Column:
    """What a table gives for a column, without the table's package."""

    def __init__(self, items: list[object]) -> None:
        self.items = items

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        values = np.empty(len(self.items), object)
        values[:] = self.items
        return values

    def __iter__(self) -> Iterator[object]:
        return iter(self.items)


def test_a_column_of_recordings_is_several(encoder: SpeechEncoder, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(as_wav(clip(0.5)))
    paths = [str(tmp_path / name) for name in "ab"]
    expected = encoder.encode(paths, pool="mean")
    for several in (np.array(paths), Column(paths), (path for path in paths), tuple(paths), map(Path, paths)):
        np.testing.assert_array_equal(encoder.encode(several, pool="mean"), expected)
    ragged = Column([clip(0.5), clip(0.7), {"array": clip(0.2), "sampling_rate": RATE}])
    assert [len(frames) for frames in encoder.encode(ragged)] == [24, 34, 9]
    assert encoder.encode(array("f", clip(0.5))).shape == (24, 32)


def test_bad_recordings_of_every_kind_are_skipped_and_recorded(encoder: SpeechEncoder, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(as_wav(clip(0.5)))
    with (tmp_path / "a.wav").open("rb") as closed:
        pass
    text, archive = io.StringIO("text"), io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.wav", as_wav(clip(0.5)))
    damaged = bytearray(archive.getvalue())
    damaged[2000:2100] = bytes(100)
    zipped = zipfile.ZipFile(io.BytesIO(bytes(damaged))).open("a.wav")  # noqa: SIM115
    gzipped = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(as_wav(clip(0.5)))[:-900]))

    class Decoder:
        def get_all_samples(self) -> None:
            raise RuntimeError("could not push packet to decoder")

    sound = {"array": clip(0.5), "sampling_rate": 16}
    bad = [
        *(zipped, gzipped, Decoder()),
        *(closed, text, tmp_path, tmp_path / "no.wav", None, 3, (value for value in [0.0]), [], np.zeros((3, 900))),
        *(sound, {"array": clip(0.5)}, {"sr": 16000, "array": clip(0.5)}, np.zeros(500, np.complex64), ["a.wav"]),
        *((clip(0.5), 16), np.frombuffer(as_wav(clip(0.5)), np.uint8), np.zeros(900, bool), object(), {}),
    ]
    good = (tmp_path / "a.wav", (RATE, clip(0.5)))
    with pytest.warns(UserWarning, match=f"{len(bad)} of {len(bad) + 2} recordings"):
        results = encoder.encode([good[0], *bad, good[1]], on_error="skip")
    assert [result is None for result in results] == [False, *[True] * len(bad), False]
    with pytest.warns(UserWarning, match=f"{len(bad) - 1} of {len(bad)}"):  # the array of three is three channels now
        results = encoder.encode(bad, on_error="skip", channel="all")
    assert [len(channels) for channels in results if channels is not None] == [3]
    for item in bad:
        with pytest.raises(AudioError, match="."):
            encoder.encode([item])


def test_tensors_can_be_trained_upon(encoder: SpeechEncoder) -> None:
    frames = encoder.encode(clip(0.5), to="torch")
    assert frames.dtype == torch.float32
    probe = torch.nn.Linear(32, 2)
    probe(frames).sum().backward()
    assert probe.weight.grad is not None


def test_normalize_gives_unit_vectors(encoder: SpeechEncoder) -> None:
    assert abs(np.linalg.norm(encoder.encode(clip(1), pool="mean", normalize=True)) - 1) < 1e-5


def test_the_waveform_is_normalized_where_the_checkpoint_wants_it() -> None:
    config = replace(CONFIG, extractor_norm="layer", normalize=True)
    wanting, plain = make(config), make(replace(config, normalize=False))
    wave = 0.01 * clip(1) + 0.3
    normalized = normalize_waveform(torch.from_numpy(wave), config.normalize_epsilon).numpy()
    expected = plain.encode(normalized)
    np.testing.assert_allclose(wanting.encode(wave), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(plain.encode(wave) - expected).max() > 0.05


@pytest.mark.parametrize("config", [CONFIG, HuBERTConfig(**SMALL), Wav2Vec2Config(**SMALL)])
def test_tasks_are_presets_and_explicit_words_win(config) -> None:
    encoder, wave = make(config), clip(1)
    for task, preset in presets(config).items():
        expected = encoder.encode(wave, layer=preset.layer, pool=preset.pool)
        np.testing.assert_array_equal(encoder.encode(wave, task=task), expected)
    expected = encoder.encode(wave, layer=1, pool="max")
    np.testing.assert_array_equal(encoder.encode(wave, task="speaker", layer=1, pool="max"), expected)
    with pytest.raises(UnknownName, match="speaker"):
        encoder.encode(wave, task="spaeker")


def test_similarity_is_the_cosine(encoder: SpeechEncoder) -> None:
    a, b = as_wav(clip(1, 1)), as_wav(clip(1, 2))
    x, y = (encoder.encode(one, task="speaker") for one in (a, b))
    expected = float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert encoder.similarity(a, b) == pytest.approx(expected, abs=1e-5)
    assert encoder.similarity(x, y) == pytest.approx(expected, abs=1e-5)
    assert encoder.similarity(a, y) == pytest.approx(expected, abs=1e-5)
    assert encoder.similarity(torch.from_numpy(x), x) == pytest.approx(1)
    matrix = encoder.similarity([a, b], [x, y, x])
    assert matrix.shape == (2, 3)
    np.testing.assert_allclose(matrix, [[1, expected, 1], [expected, 1, expected]], atol=1e-5)
    assert encoder.similarity(a, [x, y]).shape == (2,)
    with pytest.raises(ConfigurationError, match="32 and of 64"):
        encoder.similarity(x, np.zeros(64))
    with pytest.raises(ConfigurationError, match='"array": ...'):
        encoder.similarity(clip(1), clip(1))
    array = {"array": clip(1, 1), "sampling_rate": RATE}
    assert encoder.similarity(array, a) == pytest.approx(1, abs=1e-4)


def test_bad_recordings_become_none_and_a_warning(encoder: SpeechEncoder) -> None:
    clips = [clip(0.5), b"noise", clip(0.7), np.zeros(3, np.float32)]
    with pytest.warns(UserWarning, match="2 of 4 recordings could not be used") as caught:
        results = encoder.encode(clips, on_error="skip")
    assert caught[0].filename == __file__
    assert [result is None for result in results] == [False, True, False, True]
    with pytest.raises(AudioError):
        encoder.encode(clips)
    with pytest.raises(UnknownName, match="skip"):
        encoder.encode(clips, on_error="ignore")


def test_the_model_is_left_as_it_was(encoder: SpeechEncoder) -> None:
    encoder.model.train()
    encoder.model.encoder.layers[1].eval()
    before = [module.training for module in encoder.model.modules()]
    first, second = (encoder.encode(clip(0.5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)  # no dropout
    assert [module.training for module in encoder.model.modules()] == before
    encoder.model.eval()


def test_encoding_follows_the_weights(encoder: SpeechEncoder) -> None:
    changing, wave = make(), clip(0.5)
    before, revision = changing.encode(wave, device=["cpu", "cpu"]), changing.revision
    with torch.no_grad():
        changing.model.encoder.layers[3].feed_forward.outer.weight.mul_(2)
    assert np.abs(changing.encode(wave, device=["cpu", "cpu"]) - before).max() > 1e-3
    assert changing.revision != revision
    assert revision == encoder.revision


def test_several_devices_share_the_work(encoder: SpeechEncoder) -> None:
    clips = [clip(0.3, i) for i in range(12)]
    for one, other in zip(
        encoder.encode(clips, device=["cpu", "cpu"], batch_seconds=0.7), encoder.encode(clips), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_is_saved_is_loaded(encoder: SpeechEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path / "model")
    again = sonant.load(tmp_path / "model", device="cpu")
    wave = clip(1)
    np.testing.assert_array_equal(again.encode(wave, layer="all"), encoder.encode(wave, layer="all"))
    assert again.revision == encoder.revision
    halved = sonant.load(str(tmp_path / "model"), dtype=torch.bfloat16)
    assert next(halved.model.parameters()).dtype == torch.bfloat16
    near = halved.encode(wave)
    assert near.dtype == np.float32
    assert np.abs(near - again.encode(wave)).max() < 0.3


@pytest.mark.slow
def test_transformers_agrees(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    encoder = make()
    encoder.save_pretrained(tmp_path)
    theirs = transformers.WavLMModel.from_pretrained(tmp_path).eval()
    wave = clip(1)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(wave)[None], output_hidden_states=True).hidden_states
    for one, other in zip(encoder.encode(wave, layer="all"), expected, strict=True):
        np.testing.assert_allclose(one, other[0], rtol=1e-3, atol=1e-4)


def test_devices_and_models_that_are_not_there() -> None:
    with pytest.raises(ConfigurationError, match="cpu"):
        sonant.load("anything", device="cuda:99")
    with pytest.raises(ConfigurationError, match="empty list of devices"):
        sonant.load("anything", device=[])
    with pytest.raises(CheckpointUnavailable):
        sonant.load("./no/such/folder", device="cpu")


def test_words_are_checked(encoder: SpeechEncoder) -> None:
    with pytest.raises(UnknownName, match="torch"):
        encoder.encode(clip(1), to="tensorflow")
    with pytest.raises(UnknownName, match="mean"):
        encoder.encode(clip(1), pool="average")
    with pytest.raises(UnknownName, match="last"):
        encoder.encode(clip(1), layer=5)


def test_a_shipped_model_that_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (shipped,) = [card for card in CATALOG.values() if card.shipped]
    monkeypatch.setitem(CATALOG, "sonant/other", replace(shipped, name="sonant/other"))
    with pytest.raises(CheckpointUnavailable, match="this copy lacks"):
        sonant.load("sonant/other", device="cpu")


def test_files_are_written_through_the_same_door(encoder: SpeechEncoder, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / f"in/{i}.wav").write_bytes(as_wav(clip(0.4 + i / 10, i)))
    summary = encoder.embed(tmp_path / "in", tmp_path / "out", task="speaker", progress=False)
    assert (summary.computed, summary.failed) == (3, 0)
    vectors = np.load(tmp_path / "out/vectors.npy")
    for i in range(3):
        expected = encoder.encode(tmp_path / f"in/{i}.wav", task="speaker")
        np.testing.assert_allclose(vectors[i], expected, rtol=1e-4, atol=1e-5)


def test_save_pretrained_alone_is_enough(tmp_path: Path) -> None:
    """A model that never saw this door."""
    torch.manual_seed(1)
    save_pretrained(build(HuBERTConfig(**SMALL)), tmp_path)
    assert sonant.load(tmp_path, device="cpu").encode(clip(0.5)).shape == (24, 32)
