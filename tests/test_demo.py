"""`make demo`, with a small model with random weights in place of the shipped one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sonant.checkpoints import save_pretrained
from sonant.models import WavLMConfig, build

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_demonstration_says_and_writes_what_it_promises(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    torch.manual_seed(0)
    config = WavLMConfig(
        conv_channels=(16,) * 7, dim=32, num_layers=3, num_heads=4, feed_forward_dim=64, position_kernel=16,
        position_groups=4,
    )  # fmt: skip
    save_pretrained(build(config), tmp_path / "model")
    command = [sys.executable, str(ROOT / "examples/demo.py"), "--model", str(tmp_path / "model")]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for told in ("50 a second", "(391, 32)", "real-time factor", "who sounds alike?", "vectors.npy", "picture.png"):
        assert told in done.stdout
    matrix = [
        line.split()[2:] for line in done.stdout.splitlines() if line.startswith(("allison", "june", "carlo", "ivr"))
    ]
    cosines = np.array(matrix, dtype=float)
    assert cosines.shape == (12, 12)
    assert np.array_equal(cosines, cosines.T)
    assert np.array_equal(np.diag(cosines), np.ones(12))
    assert np.load(tmp_path / "out/frames/features/en-allison-queue.npy").shape == (391, 32)
    assert np.load(tmp_path / "out/speakers/vectors.npy").shape == (12, 32)
    picture = (tmp_path / "out/picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000
