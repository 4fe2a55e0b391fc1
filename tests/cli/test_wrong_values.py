"""Every option of every command answers wrong values with one message, and never with a traceback."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sonant import cli
from sonant.recipes import pretraining_recipe
from sonant.training.checks import numbers

# What is given besides, so that nothing but the option is wrong.
MODEL = ["--model", "sonant/wavlm-tiny"]
COMMANDS = {
    "embed": ["a.wav", "-o", "out.npy"],
    "units": ["a.wav", *MODEL],
    "transcribe": ["a.wav", *MODEL],
    "verify": ["a.wav", "a.wav", *MODEL],
    "diarize": ["a.wav", *MODEL, "--num-speakers", "1"],
    "convert": ["sonant/wavlm-tiny", "out", "--to", "hf"],
    "bench": ["--models", "tiny", "--cases", "1s"],
    "users": [],
    "users create": ["somebody"],
    "users grant": ["somebody", "1"],
    "users change": ["somebody"],
    "users delete": ["somebody"],
    "keys": [],
    "keys create": ["somebody"],
    "keys revoke": ["somebody"],
    "models": [],
}
NOT_NUMBERS = ("nan", "-inf", "many", "")
NOT_POSITIVE = ("-2", *NOT_NUMBERS)


def is_numeric(annotation: Any) -> bool:
    return bool(re.search(r"\b(int|float|Decimal)\b", str(annotation)))


OPTIONS = [
    (verb, parameter.name, value)
    for verb in COMMANDS
    for parameter in inspect.signature(cli.find_function(verb), eval_str=True).parameters.values()
    if parameter.kind is parameter.KEYWORD_ONLY and parameter.annotation is not bool
    for value in (NOT_POSITIVE if is_numeric(parameter.annotation) else ("",))
    if value != parameter.default
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    soundfile.write(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    return folder


@pytest.mark.parametrize(("verb", "name", "value"), OPTIONS)
def test_no_option_takes_what_makes_no_sense(
    verb: str, name: str, value: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(place)
    option = "--" + name.strip("_").replace("_", "-")
    assert cli.main([*verb.split(), *COMMANDS[verb], f"{option}={value}"]) in (1, 2)
    message = capsys.readouterr().err
    assert message.strip()
    assert "Traceback" not in message
    assert [path.name for path in place.iterdir()] == ["a.wav"]


RUN = pretraining_recipe("wavlm_tiny")


@pytest.mark.parametrize("name", [name for name, _, _ in numbers(RUN) if not name[-1].isdigit()])
@pytest.mark.parametrize("value", ["-1", ".nan", ".inf", "many", "[1]", "99999999999999999999999"])
def test_no_number_of_a_run_takes_what_makes_no_sense(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("manifest.jsonl").write_text(json.dumps({"path": "nothing.wav"}))
    assert cli.main(["pretrain", "wavlm_tiny", "data=.", f"{name}={value}"]) in (1, 2)
    assert capsys.readouterr().err.startswith("sonant: ")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    "change",
    [
        "stages=[]", "stages=[1]", "stages=null", "model=3", "data=", "data=[1]", "data=missing", "data=text.wav",
        "name=", "output=text.wav", "device=nowhere", "device=", "teacher=text.wav", "noise=missing", "bad.yaml",
        "missing.yaml", "text.wav", "=1", "stages.9.name=x", "stages.0.training.betas=[1, 1]",
        "stages.0.batching.max_seconds=0.001",
        "stages.0.batching.batch_seconds=1", "stages.0.mixing.speech_snr_db=[5, -5]", "seed=99999999999999999999",
    ],
)  # fmt: skip
def test_a_run_that_makes_no_sense_leaves_nothing(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("manifest.jsonl").write_text(json.dumps({"path": "a.wav"}))
    soundfile.write("a.wav", np.random.default_rng(0).normal(0, 0.1, 48_000), 16_000)
    Path("text.wav").write_text("text")
    Path("bad.yaml").write_text("stages: [")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert cli.main(["pretrain", "wavlm_tiny", "data=.", change]) in (1, 2)
    assert capsys.readouterr().err.startswith("sonant: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
