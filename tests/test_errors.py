"""Messages give advice that works on the machine that prints them."""

import importlib.metadata
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant import errors
from sonant.cli import main
from sonant.errors import MissingExtra, UnknownName
from sonant.pretraining.kmeans import KMeans

METADATA = [
    "torch<3,>=2.9",
    'av>=14; extra == "audio"',
    'sonant[audio,plot]; extra == "all"',
    "matplotlib<4,>=3.9; extra == 'plot'",
    'uvloop<1,>=0.21; sys_platform != "win32" and extra == "all"',
]


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that the metadata name, matplotlib alone is there."""

    def distribution(name: str) -> str:
        if name != "matplotlib":
            raise importlib.metadata.PackageNotFoundError(name)
        return name

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: METADATA)
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("audio", "pip install 'av>=14'"),
        ("all", """pip install 'av>=14' 'uvloop<1,>=0.21; sys_platform != "win32"'"""),  # what is there is left out
        ("plot", "pip install 'matplotlib<4,>=3.9'"),  # there, but it cannot be imported
        ("unknown", "pip install 'package'"),
    ],
)
def test_the_command_names_what_an_extra_lacks(extra: str, command: str) -> None:
    assert errors.pip_install(extra, "package") == command
    assert command in str(MissingExtra("package", extra=extra, purpose="This"))


def test_a_copy_that_is_not_installed_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert errors.pip_install("audio", "av") == "pip install 'av'"


@pytest.mark.parametrize("kind", [errors.AudioError, errors.TooShortAudio, errors.AudioWarning])
def test_a_message_about_a_recording_is_one_line_that_a_terminal_can_show(kind: type) -> None:
    assert str(kind("a\x1b[31m\nb\x9bé\u2028.wav: cut")) == r"a\x1b[31m\x0ab\xc2\x9bé\xe2\x80\xa8.wav: cut"


@pytest.mark.parametrize("kind", [errors.ConfigurationError, errors.CorruptedCheckpoint, errors.ModelWarning])
def test_other_messages_may_have_lines(kind: type) -> None:
    assert str(kind("a\x1b[31m\nb")) == "a\\x1b[31m\nb"
    assert str(kind()) == ""
    assert isinstance(pickle.loads(pickle.dumps(kind("a"))), kind)


def test_no_name_of_a_file_reaches_a_terminal_as_it_is(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a\x1b[31m\nb.wav").write_bytes(b"not audio")
    soundfile.write("in/b.wav", np.zeros(16_000), 16_000)
    KMeans(torch.zeros(2, 256)).save("kmeans.safetensors")
    tiny = ["-m", "wavlm-tiny"]
    for command in (
        ["embed", "in/a\x1b[31m\nb.wav", "-o", "x.npy"],
        ["embed", "no\x1b[31m\n.wav", "-o", "x.npy"],
        ["units", "in", *tiny, "--kmeans", "kmeans.safetensors", "-l", "1"],
        ["diarize", "in", "-n", "1"],
        ["convert", "in/a\x1b[31m\nb.wav", "x", "--to", "hf"],
    ):
        assert main(command) in (1, 2)
        shown = capfd.readouterr()
        assert r"\x1b[31m" in shown.err
        assert "\x1b" not in shown.err + shown.out


def test_near_names_are_named_and_a_number_has_none() -> None:
    assert str(UnknownName("layer", 50, range(7))) == "There is no layer 50. Known: 0, 1, 2, 3, 4, 5, 6."
    assert "Did you mean 'mean'?" in str(UnknownName("pooling", "meen", ["mean", "max"]))
    assert str(UnknownName("model", "x", map(str, range(99)), listed="See the list.")).endswith("'x'. See the list.")
