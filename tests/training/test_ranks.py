"""Processes that train together do what one does with all of their batches."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from sonant.checkpoints import load_backbone
from sonant.cli import main
from sonant.errors import ConfigurationError
from sonant.loss import Loss
from sonant.training import PartSettings, log, train
from sonant.training.log import Monitoring
from sonant.training.ranks import first_then_others, on_first, process_group
from tests.training.corpus import write_corpus
from tests.training.points import SHORT, Points, Regression, points, weights

FROZEN = PartSettings(name="net.3", frozen_steps=2)
PATIENCE_SECONDS = 4.0
TRAINING = replace(SHORT, steps=6, grad_accumulation=2, parts=(FROZEN,))


class Hooked(Regression):
    """Without dropout, whose random numbers differ by process; a layer is skipped for some batches."""

    layerdrop = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.net[1].p = 0.0
        self.inner = nn.Linear(3, 3)
        self.calls = 0
        self.register_forward_hook(self._count)

    def forward(self, batch: Points) -> Loss:
        return super().forward(batch if len(batch.x) == 3 else replace(batch, x=self.inner(batch.x)))

    def _count(self, *_: object) -> None:
        self.calls += 1


class OfRank:
    """The batches of one of several processes."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def __getitem__(self, number: int) -> Points:
        return points[number * self.world + self.rank]


def _train(rank: int, world: int, folder: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=world)
    for stop in (3, None):
        objective = Hooked()
        train(objective, OfRank(rank, world), TRAINING, folder / "together", stop_at=stop)
    torch.save(weights(objective), folder / f"{rank}.pt")
    distributed.destroy_process_group()


class SlowTracker:
    """A tracker whose server answers late."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        time.sleep(PATIENCE_SECONDS)

    def close(self, *, failed: bool) -> None:
        pass


def _train_beside_slow_work(rank: int, folder: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    usual = timedelta(seconds=PATIENCE_SECONDS / 2)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2, timeout=usual)
    log.open_tracker = lambda *_, **__: SlowTracker()
    objective, done = Hooked(), []

    def probe() -> dict[str, float]:
        time.sleep(PATIENCE_SECONDS)
        done.append(rank)
        return {"probe": float(objective.training)}

    assert first_then_others(lambda: time.sleep(PATIENCE_SECONDS * (1 - rank)) or rank) == rank
    monitoring = Monitoring(probe=probe, probe_every=3, trackers=("tensorboard",))
    train(objective, OfRank(rank, 2), TRAINING, folder, monitoring=monitoring)
    assert done == [0, 0] * (1 - rank)
    distributed.destroy_process_group()


@pytest.mark.slow
def test_others_wait_for_the_first_longer_than_for_one_another(tmp_path: Path) -> None:
    """For targets, probes and the servers of trackers; a lost process is still noticed after the usual time."""
    multiprocessing.spawn(_train_beside_slow_work, (tmp_path,), nprocs=2)
    reports = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [report["step"] for report in reports if "probe" in report] == [3, 6]


def test_hooks_of_the_objective_run(tmp_path: Path) -> None:
    """Those of DistributedDataParallel and FSDP synchronize gradients."""
    objective = Hooked()
    train(objective, points, TRAINING, tmp_path)
    assert objective.calls == 12


@pytest.mark.slow
def test_two_processes_equal_one_with_their_batches(tmp_path: Path) -> None:
    """Although batches differ in size, and through an interruption; rank 0 writes the reports."""
    multiprocessing.spawn(_train, (2, tmp_path), nprocs=2)
    alone = Hooked()
    train(alone, points, replace(TRAINING, grad_accumulation=4), tmp_path / "alone")
    for rank in range(2):
        for given, expected in zip(torch.load(tmp_path / f"{rank}.pt"), weights(alone), strict=True):
            torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-6)
    reports = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("together", "alone")]
    assert [len(lines) for lines in reports] == [2, 2]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of the only process that torchrun has started."""
    settings = {"RUN_ID": "1", "RESTART_COUNT": "0"}
    for name, value in {f"TORCHELASTIC_{name}": value for name, value in settings.items()}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "GLOO_SOCKET_IFNAME": "lo"}.items():
        monkeypatch.setenv(name, value)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


def test_without_torchrun_work_is_done_once_in_one_process() -> None:
    done: list[int] = []
    with process_group("cpu"):
        assert not distributed.is_initialized()
        assert on_first(lambda: done.append(1)) is None
        assert first_then_others(lambda: done) is done
    assert done == [1]


@pytest.mark.usefixtures("launched")
def test_the_group_of_torchrun_is_joined_and_left() -> None:
    with process_group("cpu"), process_group("cpu"):
        assert distributed.is_initialized()
        assert on_first(lambda: 3) == 3
        with pytest.raises(ZeroDivisionError):
            on_first(lambda: 1 // 0)
    assert not distributed.is_initialized()


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize(
    ("device", "message"), [("cuda:1", "the GPU of its own number"), ("cuda", "There are 0 GPUs for 1 processes")]
)
def test_a_device_that_processes_cannot_share_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigurationError, match=message), process_group(device):
        pass


SIZES = (
    "conv_channels=[8,8,8,8,8,8,8]",
    *("dim=16", "num_layers=2", "num_heads=2", "feed_forward_dim=32", "position_kernel=8", "position_groups=2"),
)
STAGE = (
    *(
        "batching.batch_seconds=4",
        "batching.max_seconds=2",
        "batching.min_seconds=0.5",
        "objective.targets.num_clusters=5",
    ),
    *("training.precision=float32", "training.steps=6", "training.save_every=2", "training.validate_every=2"),
    "training.log_every=2",
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a run of two stages on a corpus, whose folder is added."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000, 40_000, 36_000])
    stages = [f"stages.{stage}.{setting}" for stage in ("mfcc", "layer5") for setting in STAGE]
    more = [
        "data=speech",
        "held_out_share=0.3",
        "stages.mfcc.extractor_steps=2",
        "stages.layer5.objective.targets.layer=1",
    ]
    return ["pretrain", "wavlm_tiny", *more, *stages, *(f"model.{size}" for size in SIZES)]


def torchrun(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sonant"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *arguments], stdout=pipe, stderr=pipe, text=True, env=environment)


def held_out(run: str) -> list[float]:
    reports = map(json.loads, (Path("runs") / run / "layer5" / "metrics.jsonl").read_text().splitlines())
    return [report["held_out_loss"] for report in reports if "held_out_loss" in report]


@pytest.mark.slow
def test_a_run_of_two_processes_killed_in_the_middle_equals_one_of_one(settings: list[str]) -> None:
    """With half of its batches each; what they print is printed once, and another number of them is refused."""
    killed = torchrun(*settings, "name=killed")
    state, lock = Path("runs/killed/mfcc/state.pt"), Path("runs/killed/running.lock")
    while not state.exists():
        assert killed.poll() is None, killed.stderr and killed.stderr.read()
        time.sleep(0.01)
    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    _, errors = killed.communicate(timeout=600)
    assert killed.returncode == 1
    assert "[rank" not in errors, "no traceback of ours"
    assert errors.count("sonant:") <= 1
    assert not Path("runs/killed/layer5/model").exists()
    assert main([*settings, "name=killed"]) == 2

    for run in ("killed", "whole"):
        process = torchrun(*settings, f"name={run}")
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert output.count("The pretrained model is in") == 1
    both = [f"stages.{stage}.training.grad_accumulation=2" for stage in ("mfcc", "layer5")]
    assert main([*settings, "name=alone", *both]) == 0
    resumed, whole, alone = (
        load_backbone(f"runs/{run}/layer5/model").state_dict() for run in ("killed", "whole", "alone")
    )
    for name, expected in alone.items():
        assert torch.equal(resumed[name], whole[name])
        torch.testing.assert_close(whole[name], expected, rtol=1e-3, atol=1e-5)
    assert held_out("killed") == held_out("whole")
    assert held_out("whole") == pytest.approx(held_out("alone"), rel=1e-4)


@pytest.mark.slow
def test_an_error_of_all_processes_is_shown_once(settings: list[str]) -> None:
    refused = torchrun(*settings, "data=nowhere")
    _, errors = refused.communicate(timeout=600)
    assert refused.returncode == 1
    assert errors.count("no manifest") == 1
    assert not Path("runs").exists()
