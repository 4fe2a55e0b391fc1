"""A server with small fine-tuned models, whose weights are random: for the shape of answers, not for their sense."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sonant.server.settings import AccountRules, ServerSettings
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_masks, write_xvector
from tests.server.running import RunningServer, running


@pytest.fixture(scope="package")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: recognizer, voices, diarizer, emotions, enhancer, separator."""
    folder = tmp_path_factory.mktemp("models")
    write_ctc(folder / "recognizer")
    write_xvector(folder / "voices")
    write_frame_classifier(folder / "diarizer")
    write_classifier(folder / "emotions")
    write_masks(folder / "enhancer", kind="enhancement")
    write_masks(folder / "separator", kind="separation")
    return folder


@pytest.fixture(scope="package")
def heads_server(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With all models of `checkpoints`, and the shipped one."""
    models = (*(str(checkpoint) for checkpoint in sorted(checkpoints.iterdir())), "sonant/wavlm-tiny")
    rules = AccountRules(requests_per_minute=100_000)
    with running(ServerSettings(data=tmp_path_factory.mktemp("server"), models=models, accounts=rules)) as up:
        yield up
