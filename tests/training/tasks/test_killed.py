"""Trainings on labels in processes of their own: killed at any moment, or two that train together."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sonant.checkpoints import load_checkpoint
from sonant.models import WavLMConfig
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones

pytestmark = pytest.mark.slow
SETTINGS = (
    "label=pitch trackers= batching.batch_seconds=2 batching.max_seconds=1 layer=last training.steps=60 "
    "training.save_every=3 training.validate_every=5 training.lr=0.01"
).split()


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_tones(tmp_path / "train", 3)
    write_tones(tmp_path / "dev", 2, seed=1)
    model = write_model(tmp_path / "model", WavLMConfig(**TINY, layerdrop=0.2))
    paths = [f"model={model}", f"data={tmp_path / 'train'}", f"dev={tmp_path / 'dev'}"]
    return ["-m", "sonant", "train", "utterance", *paths, *SETTINGS]


def state_of(output: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_checkpoint(output / "utterance" / "model")
    return checkpoint.backbone_state | checkpoint.heads["sequence_classification"].tensors


@pytest.mark.parametrize("how", [("frozen=extractor",), ("lora.rank=2",), ("cache={}/states",)])
def test_a_run_that_is_killed_ends_with_the_same_bits(how: tuple[str], command: list[str], tmp_path: Path) -> None:
    draw, settings = random.Random(0), [each.format(tmp_path) for each in how]
    began = time.monotonic()
    subprocess.run([sys.executable, *command, *settings, f"output={tmp_path / 'whole'}"], check=True)
    seconds = time.monotonic() - began
    if "cache" in settings[0]:
        settings = [f"cache={tmp_path}/others"]
    killed = 0
    for _ in range(30):
        process = subprocess.Popen([sys.executable, *command, *settings, f"output={tmp_path / 'killed'}"])
        try:
            process.wait(timeout=draw.uniform(0.3, 0.9) * seconds)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    assert process.returncode == 0
    assert killed >= 1
    whole, parts = state_of(tmp_path / "whole"), state_of(tmp_path / "killed")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("how", ["frozen=extractor", "lora.rank=2"])
def test_two_processes_equal_one_with_their_batches(how: str, command: list[str], tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    settings = [how, "training.steps=6", "training.parts=[]", "training.gradient_checkpointing=true"]
    write_model(tmp_path / "model", WavLMConfig(**TINY, dropout=0, attention_dropout=0, layerdrop=0, input_dropout=0))
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    together, alone = tmp_path / "together", tmp_path / "alone"
    subprocess.run([sys.executable, *torchrun, *command, *settings, f"output={together}"], check=True, env=environment)
    alone_settings = [*settings, "training.grad_accumulation=2", f"output={alone}"]
    subprocess.run([sys.executable, *command, *alone_settings], check=True)
    one, two = state_of(alone), state_of(together)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=1e-3)
