"""Models that `sonant train` made: served, transcribed, classified, shown, saved and exported as published ones are."""

import json
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch

import sonant
from sonant.checkpoints import Head, load_backbone, load_checkpoint, save_pretrained
from sonant.cli import main
from sonant.data.subwords import Subwords
from sonant.extraction.piece_units import Pieces
from sonant.extraction.text_units import Bytes, Phones
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.server.settings import ServerSettings
from sonant.training.tasks import train_task
from tests.server.running import RunningServer, running
from tests.shapes import TINY
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import PITCHES, write_model, write_tones

RUN: dict[str, Any] = {
    "batching": {"batch_seconds": 8, "max_seconds": 4},
    "training": {"steps": 40, "validate_every": 20, "lr": 1e-2, "parts": []},
    "trackers": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings and two runs: pitches, and words."""
    folder = tmp_path_factory.mktemp("trained")
    model = write_model(folder / "base", WavLMConfig(**TINY))
    for write, name, number in ((write_tones, "pitches", 3), (write_words, "words", 8)):
        for seed, part in enumerate(("train", "dev")):
            write(folder / name / part, number, seed=seed)  # type: ignore[operator]
    for task, name, label in (("utterance", "pitches", "pitch"), ("ctc", "words", "text")):
        sets = {part: str(folder / name / where) for part, where in (("data", "train"), ("dev", "dev"))}
        where = {"model": str(model), "output": str(folder / "runs"), "name": name, "label": label}
        train_task(task_run(task, [RUN, sets, where]))
    torch.manual_seed(0)
    pieces = folder / "pieces.model"
    Subwords.train(["ab ba", "b a", "ba b a"], pieces, size=9, kind="unigram")
    for name, units in {"phones": Phones(None), "subwords": Pieces(pieces), "bytes": Bytes()}.items():
        tokens = units.tokens(["AH BH"])
        backbone = load_backbone(model)
        weights = {"weight": torch.randn(len(tokens), backbone.dim), "bias": torch.zeros(len(tokens))}
        heads = {"ctc": Head(weights, units.notes(tokens))}
        save_pretrained(backbone, folder / "units" / name, heads=heads)
    return folder


@pytest.fixture(scope="module")
def trained_server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    models = tuple(str(folder / "runs" / name / "model") for name in ("pitches", "words"))
    models += tuple(map(str, sorted((folder / "units").iterdir())))
    with running(ServerSettings(data=tmp_path_factory.mktemp("server"), models=models)) as up:
        yield up


def test_runs_are_served_under_their_names(trained_server: RunningServer, folder: Path) -> None:
    """Transcripts with word times and streaming, labels, and the facts of the training."""
    client, wave = trained_server.client(), folder / "words/dev/0.wav"
    expected = sonant.transcribe(wave, model=folder / "runs/words/model")
    answer: Any = client.audio.transcriptions.create(
        model="words", file=wave, response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert (answer.text, len(answer.words)) == (expected.text, len(expected.words))
    assert [word.start for word in answer.words] == pytest.approx([word.start_seconds for word in expected.words])
    stream = client.audio.transcriptions.create(model="words", file=wave, stream=True)
    assert list(stream)[-1].text == expected.text  # type: ignore[union-attr]

    tone = folder / "pitches/dev/low0.wav"
    scores = sonant.classify(tone, model=folder / "runs/pitches/model")
    answer = client.post(
        "/audio/classifications", body={"model": "pitches"}, files={"file": tone.read_bytes()}, cast_to=object,
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )  # fmt: skip
    found = {each["label"]: each["score"] for each in answer["data"][0]["scores"]}
    assert found == pytest.approx(scores, abs=1e-5)

    listed = {model.id: model for model in client.models.list().data}
    for name, task in (("pitches", "sequence_classification"), ("words", "ctc")):
        training = listed[name].training  # type: ignore[attr-defined]
        assert (training["task"], training["base"]) == (task, "base")
    training = listed["pitches"].training  # type: ignore[attr-defined]
    assert training["labels"] == sorted(PITCHES)
    result = json.loads((folder / "runs/pitches/result.json").read_text())
    assert training["dev"]["accuracy"] == result["accuracy"]
    errors = json.loads((folder / "runs/words/result.json").read_text())["wer"]
    assert errors["low"] <= errors["value"] <= errors["high"]
    assert errors == listed["words"].training["dev"]["wer"]  # type: ignore[attr-defined]
    page = httpx2.get(f"{trained_server.base_url}/models/pitches").text
    assert "Trained by sonant from base for sequence classification, on 12 labeled recordings" in page
    assert "operator knows" not in page


@pytest.mark.parametrize("units", ["phones", "subwords", "bytes"])
def test_all_units_are_streamed_and_printed(
    units: str, trained_server: RunningServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wave, model = folder / "words/dev/0.wav", folder / "units" / units
    expected = sonant.transcribe(wave, model=model).text
    assert expected
    *parts, last = trained_server.client().audio.transcriptions.create(model=units, file=wave, stream=True)
    assert last.text == expected  # type: ignore[union-attr]
    assert "".join(part.delta for part in parts) == expected  # type: ignore[union-attr]
    assert main(["transcribe", str(wave), "-m", str(model)]) == 0
    assert capsys.readouterr().out.removesuffix("\n") == expected


def test_commands_take_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wave, tone = folder / "words/dev/0.wav", folder / "pitches/dev/low0.wav"
    words, pitches = (str(folder / "runs" / name / "model") for name in ("words", "pitches"))
    assert main(["transcribe", str(wave), "-m", words]) == 0
    assert capsys.readouterr().out.strip() == sonant.transcribe(wave, model=words).text.strip()
    assert main(["classify", str(tone), "-m", pitches]) == 0
    assert json.loads(capsys.readouterr().out)["labels"].keys() == PITCHES.keys()
    assert main(["models", "show", pitches]) == 0
    assert "heads: sequence_classification" in (shown := capsys.readouterr().out)
    assert "4 labels: high, low, middle, top." in shown
    assert main(["models", "show", words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["recordings"] == 8


def test_facts_and_calibration_travel(folder: Path, tmp_path: Path) -> None:
    for name in ("pitches", "words"):
        encoder = sonant.load(folder / "runs" / name / "model")
        encoder.save_pretrained(tmp_path / name)
        again = sonant.load(tmp_path / name)
        assert again.training == encoder.training is not None
        for to in ("sonant", "fairseq"):
            assert main(["convert", str(tmp_path / name), str(tmp_path / f"{name}-{to}"), "--to", to]) == 0
            assert sonant.load(tmp_path / f"{name}-{to}").training == encoder.training
    (head,) = load_checkpoint(tmp_path / "pitches-fairseq").heads.values()
    assert head.metadata["temperature"] == sonant.load(tmp_path / "pitches").labels.temperature  # type: ignore[union-attr]
    card = (folder / "runs/words/model/README.md").read_text()
    assert "pipeline_tag: automatic-speech-recognition" in card
    assert "&lt;unk>" in card


@pytest.mark.slow
def test_the_encoder_below_the_head_is_exported(folder: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = folder / "runs/words/model"
    assert main(["convert", str(model), str(tmp_path / "words.onnx"), "--to", "onnx"]) == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "words.onnx"))
    wave = sonant.audio.read(folder / "words/dev/0.wav", sampling_rate=16_000)
    (last,) = session.run(["last"], {"waveforms": wave[None], "lengths": np.array([len(wave)])})
    expected = sonant.load(model).encode(wave)
    np.testing.assert_allclose(last[0, : len(expected)], expected, atol=1e-4)
