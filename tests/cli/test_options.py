"""Every command that runs a model takes the same options, and each does what it says: a table of both."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.api import InferenceOptions, SpeechEncoder, load, loading
from sonant.checkpoints import load_checkpoint
from sonant.cli import find_function, main
from sonant.cli.command_line import arguments_of
from sonant.cli.options import JobFlags
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_xvector
from tests.shapes import SMALL

JOBS = ("embed", "units", "transcribe", "diarize", "classify")
COMMANDS = (*JOBS, "verify")
WRONG = {
    "--batch-seconds": "0",
    "--window-seconds": "-1",
    "--overlap-seconds": "60",
    "--precision": "float8",
    "--device": "nowhere",
    "--language": "fra",
    "--override": "num_heads",
    "--channel": "left",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a head of each kind, and cluster centers beside it."""
    folder = tmp_path_factory.mktemp("heads")
    torch.manual_seed(0)
    writers = (write_ctc, write_xvector, write_frame_classifier, write_classifier)
    loaded = [load_checkpoint(write(folder / str(number))).heads for number, write in enumerate(writers)]
    heads = {kind: head for own in loaded for kind, head in own.items()}
    SpeechEncoder(build(WavLMConfig(**SMALL)).eval(), heads=heads).save_pretrained(folder / "model")
    KMeans(torch.randn(7, SMALL["dim"])).save(folder / "model/kmeans.safetensors")
    return folder / "model"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a recording of two channels."""
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, (16_000, 2))
    soundfile.write(file, samples, 16_000, format="WAV")
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/a.wav").write_bytes(file.getvalue())
    return tmp_path / "talks"


def command(name: str, source: Path, model: Path, *options: str) -> list[str]:
    recordings = [str(source)] if name in JOBS else [str(source / "a.wav")] * 2
    own = {"units": ["--kmeans", str(model / "kmeans.safetensors"), "--layer", "1"]}.get(name, [])
    output = ["-o", str(source.parent / "out")] if name in JOBS else []
    return [name, *recordings, "-m", str(model), *own, *output, *options]


def flags(name: str) -> Iterator[str]:
    return (parameter.name for parameter, _ in arguments_of(find_function(name)))


def test_every_job_has_every_option() -> None:
    shared = set(JobFlags.__dataclass_fields__)
    for name in JOBS:
        assert shared <= set(flags(name))
    assert shared - {"on_error"} <= set(flags("verify"))
    assert {"language", "revision", "override"} <= set(flags("convert"))
    in_python = set(InferenceOptions.__annotations__) - {"sampling_rate", "on_failure"}
    assert {name for name in in_python if name != "progress"} <= shared


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_value_is_wrong_use(
    name: str, option: str, source: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(name, source, model, option, WRONG[option])) == 2
    assert capsys.readouterr().err
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_model_is_loaded_as_the_options_say(
    name: str, source: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {}

    def seen(*_: object, **how: object) -> None:
        given.update(how)
        raise FileNotFoundError("enough seen")

    monkeypatch.setattr(loading, "load_checkpoint", seen)
    options = ("--language", "fra", "--revision", "v2", "--override", "num_heads=2 conv_strides=[5,2] family=wavlm")
    assert main(command(name, source, model, *options)) == 1
    assert "enough seen" in capsys.readouterr().err
    assert given["overrides"] == {"num_heads": 2, "conv_strides": (5, 2), "family": "wavlm"}
    assert (given["language"], given["revision"]) == ("fra", "v2")


@pytest.mark.parametrize("name", JOBS)
def test_channels_windows_and_failures(
    name: str, source: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(name, source, model, "--channel", "all", "--window-seconds", "0.5", "--device", "cpu")) == 0
    index = (source.parent / "out/index.jsonl").read_text().splitlines()
    assert [json.loads(line)["channel"] for line in index] == [0, 1]
    assert json.loads((source.parent / "out/settings.json").read_text())["window_seconds"] == 0.5
    (source / "b.wav").write_bytes(b"no audio")
    assert main([*command(name, source, model), "--on-error", "raise", "-o", str(source.parent / "raised")]) == 1
    assert main(command(name, source, model, "--channel", "all", "--window-seconds", "0.5", "--device", "cpu")) == 1
    assert "b.wav" in (source.parent / "out/errors.jsonl").read_text()
    capsys.readouterr()


def test_labels_are_lines_of_json(source: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(source), "-m", str(model)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["path"] == "a.wav"
    assert line["labels"] == pytest.approx(load(model).classify(source / "a.wav"), rel=1e-4)
