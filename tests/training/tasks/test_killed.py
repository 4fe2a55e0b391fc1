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
KILLS = 3
SETTINGS = (
    "label=pitch trackers= batching.batch_seconds=2 batching.max_seconds=1 layer=last training.steps=90 "
    "training.save_every=3 training.validate_every=5 training.lr=0.01"
).split()


def command_for(task: str, tmp_path: Path) -> list[str]:
    write_tones(tmp_path / "train", 3)
    write_tones(tmp_path / "dev", 2, seed=1)
    model = write_model(tmp_path / "model", WavLMConfig(**TINY, layerdrop=0.2))
    paths = [f"model={model}", f"data={tmp_path / 'train'}", f"dev={tmp_path / 'dev'}"]
    return ["-m", "sonant", "train", task, *paths, *SETTINGS]


def written(state: Path) -> int:
    """Return the time of the last save; 0 before the first one."""
    return state.stat().st_mtime_ns if state.exists() else 0


def state_of(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_checkpoint(run / "model")
    (head,) = checkpoint.heads.values()
    return checkpoint.backbone_state | head.tensors


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("utterance", "frozen=extractor"),
        ("utterance", "lora.rank=2"),
        ("utterance", "cache={}/states"),
        ("ctc", "frozen=extractor"),
    ],
)
def test_a_run_that_is_killed_ends_with_the_same_bits(task: str, how: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    command = command_for(task, tmp_path)
    setting, other = (how.format(tmp_path / name) for name in ("whole", "killed"))
    subprocess.run([sys.executable, *command, setting, f"output={tmp_path / 'whole'}"], check=True)
    state, killed = tmp_path / "killed" / task / "state.pt", 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, *command, other, f"output={tmp_path / 'killed'}"])
        before = written(state)
        while process.poll() is None and written(state) == before:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed >= 1
    subprocess.run([sys.executable, *command, other, f"output={tmp_path / 'killed'}"], check=True)
    whole, parts = (state_of(tmp_path / name / task) for name in ("whole", "killed"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("how", ["frozen=extractor", "lora.rank=2"])
def test_two_processes_equal_one_with_their_batches(how: str, tmp_path: Path) -> None:
    command = command_for("utterance", tmp_path)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    settings = [how, "training.steps=6", "training.parts=[]", "training.gradient_checkpointing=true"]
    write_model(tmp_path / "model", WavLMConfig(**TINY, dropout=0, attention_dropout=0, layerdrop=0, input_dropout=0))
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    together, alone = tmp_path / "together", tmp_path / "alone"
    subprocess.run([sys.executable, *torchrun, *command, *settings, f"output={together}"], check=True, env=environment)
    alone_settings = [*settings, "training.grad_accumulation=2", f"output={alone}"]
    subprocess.run([sys.executable, *command, *alone_settings], check=True)
    one, two = state_of(alone / "utterance"), state_of(together / "utterance")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=1e-3)
