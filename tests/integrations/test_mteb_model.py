"""Models for mteb, with mteb itself: its checks, its tasks of sound on files, and the law that clips are alone."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import sonant
from sonant.errors import ConfigurationError
from sonant.integrations import evaluate_maeb
from sonant.models.catalog import CATALOG
from tests.superb.miniature import write_tiny
from tests.training.tasks.tones import write_tones

mteb = pytest.importorskip("mteb")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sonant.integrations.mteb_model import MtebEncoder

    folder = tmp_path_factory.mktemp("models")
    return MtebEncoder(write_tiny(folder), layer="average", pool="mean+std")


def encoded(model: Any, rows: Any, batch_size: int = 4) -> np.ndarray:
    from torch.utils.data import DataLoader

    return np.asarray(model.encode(DataLoader(rows, batch_size=batch_size), show_progress_bar=False))


@pytest.mark.skipif(
    int(datasets.__version__.split(".")[0]) > 3 and find_spec("torchcodec") is None,
    reason="from datasets 4 on, mteb's made-up recordings are encoded by torchcodec",
)
def test_mock_run_passes_every_task_of_sound(model: Any) -> None:
    from mteb.mocks import ALL_MOCK_TASK_TEST_GRID

    results = mteb.mock_run(model)
    of_sound = [task.metadata.name for task in ALL_MOCK_TASK_TEST_GRID if task.metadata.modalities == ["audio"]]
    print(len(of_sound), "tasks")
    assert len(of_sound) >= 7
    assert {name: type(results[name]).__name__ for name in of_sound} == dict.fromkeys(of_sound, "TaskResult")


def test_rates_channels_lengths_and_batches(model: Any) -> None:
    generator = np.random.default_rng(0)
    speech = 0.1 * generator.standard_normal(40 * 16000).astype(np.float32)
    sounds = [
        {"array": speech, "sampling_rate": 16000},  # 40 s: nothing is cut
        {"array": speech[:24000].reshape(1, -1).repeat(2, 0), "sampling_rate": 16000},
        {"array": speech[:24000], "sampling_rate": 16000},
        {"array": speech[:44100], "sampling_rate": 44100},
        {"array": speech[:100], "sampling_rate": 16000},  # less than a frame
        {"array": speech[:0], "sampling_rate": 16000},
    ]
    rows = [{"audio": sound} for sound in sounds]

    class Rows(list[Any]):
        features: ClassVar = {"audio": None}

    together, alone = encoded(model, Rows(rows), 6), encoded(model, Rows(rows), 1)
    assert together.shape == (6, model.vectors.dim)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[1], together[2], rtol=1e-4, atol=1e-5)
    frames = model.model.encode(speech, layer="all")
    expected = np.concatenate([frames.mean(1), frames.std(1)], axis=1).mean(0)
    np.testing.assert_allclose(together[0], expected, rtol=1e-3, atol=1e-4)


def test_files_are_decoded_here_and_scores_are_those_of_evaluate_maeb(model: Any, tmp_path: Path) -> None:
    from mteb.mocks.mock_tasks.classification import MockAudioClassification

    parts = {}
    for seed, part in enumerate(("train", "test")):
        write_tones(tmp_path / part, 4, seed=seed)
        (tmp_path / part / "manifest.jsonl").rename(tmp_path / f"{part}.jsonl")
    for part in ("train", "test"):
        text = (tmp_path / f"{part}.jsonl").read_text().replace('"path": "', f'"path": "{tmp_path / part}/')
        (tmp_path / f"{part}.jsonl").write_text(text)
        entries = sonant.data.read_manifest(tmp_path / f"{part}.jsonl")
        rows = {"audio": [str(each.path) for each in entries], "label": [each.fields["pitch"] for each in entries]}
        parts[part] = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio())
    task = MockAudioClassification()
    task.dataset, task.data_loaded = datasets.DatasetDict(parts), True
    theirs = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results[0].get_score()
    ours = evaluate_maeb(
        model.model, {"tones": f"{tmp_path}:pitch"}, layer=["average"], pool=["mean+std"], output=tmp_path / "out"
    )
    assert ours.rows[0].scores.value == pytest.approx(theirs)


def test_rows_without_recordings_are_refused(model: Any) -> None:
    with pytest.raises(ConfigurationError, match="text"):
        encoded(model, datasets.Dataset.from_dict({"text": ["a"]}))


def test_metadata_of_the_catalog_and_of_a_folder(model: Any, tmp_path: Path) -> None:
    from sonant.integrations.mteb_model import catalog_metas, model_meta

    metas = catalog_metas()
    assert len({meta.name for meta in metas}) == len(CATALOG)
    base = model_meta("microsoft/wavlm-base-plus")
    assert (base.name, base.embed_dim) == ("sonant/wavlm-base-plus", 768)
    assert model_meta("facebook/hubert-base-ls960").license == "apache-2.0"
    other = model_meta("microsoft/wavlm-base-plus", layer=6, pool="mean+std")
    assert other.experiment_name != base.experiment_name
    assert model.mteb_model_meta.name == "sonant/tiny"
    assert model.mteb_model_meta.embed_dim == 32
    again = model_meta(write_tiny(tmp_path), layer=1)
    assert again.revision == model.mteb_model_meta.revision
