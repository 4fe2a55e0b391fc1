"""How far states are from the reference's."""

from pathlib import Path

import pytest
import torch

from sonant.benchmark.deviation import deviation, keep
from sonant.benchmark.systems import States
from sonant.errors import MeasurementError


def states(seed: int = 0) -> States:
    generator = torch.Generator().manual_seed(seed)
    return {name: [torch.randn(length, 6, generator=generator) for length in (3, 5)] for name in (0, 1, "last")}


def test_the_same_states_do_not_differ(tmp_path: Path):
    keep(states(), tmp_path)
    found = deviation(states(), tmp_path)
    assert found.error == 0
    assert found.cosine == pytest.approx(1)
    assert found.pooled == pytest.approx(1)
    assert found.states == 3


def test_the_worst_state_and_the_worst_frame_count(tmp_path: Path):
    keep(states(), tmp_path)
    changed = states()
    changed[1][1][2] *= -1  # one frame of one clip turns round: its cosine is -1
    changed["last"] = [3 * clip for clip in changed["last"]]  # twice its norm away, and in the same direction
    found = deviation(changed, tmp_path)
    assert (found.error, found.error_at) == (pytest.approx(2), "last")
    assert (found.cosine, found.cosine_at) == (pytest.approx(-1), "1")
    assert found.pooled < 1


def test_only_common_states_are_compared(tmp_path: Path):
    keep(states(), tmp_path)
    assert deviation({"last": states()["last"], 7: states()[0]}, tmp_path).states == 1
    with pytest.raises(MeasurementError, match="No state is in both: 7"):
        deviation({7: states()[0]}, tmp_path)


def test_other_shapes_are_refused(tmp_path: Path):
    keep(states(), tmp_path)
    with pytest.raises(MeasurementError, match="the reference's"):
        deviation({0: states()[0][:1]}, tmp_path)


def test_a_large_channel_does_not_hide_what_the_others_lost(tmp_path: Path):
    given = states()
    for clips in given.values():
        for clip in clips:
            clip[:, 0] += 300
    keep(given, tmp_path)
    changed = {name: [clip.clone() for clip in clips] for name, clips in given.items()}
    changed[1][0][2, 1:] *= -1
    found = deviation(changed, tmp_path)
    assert found.cosine > 0.999
    assert found.standardized < 0.5
    assert found.standardized_at == "1"


def test_a_channel_that_does_not_change_counts_as_rounded(tmp_path: Path):
    given = states()
    for clips in given.values():
        for clip in clips:
            clip[:, 0] = 100.0
    keep(given, tmp_path)
    for clips in given.values():
        for clip in clips:
            clip[:, 0] += 0.01  # less than bfloat16 can say of 100
    assert deviation(given, tmp_path).standardized > 0.999
