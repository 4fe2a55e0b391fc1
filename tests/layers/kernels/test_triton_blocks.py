"""Where Triton's kernels serve, and what tells them the clips."""

import pytest
import torch
import torch.nn.functional as F

from sonant.errors import ConfigurationError, ModelWarning
from sonant.layers.kernels import triton_blocks
from sonant.layers.kernels.biases import RelativeKeyBias
from sonant.layers.kernels.triton_attention import attend_triton
from sonant.layers.kernels.triton_blocks import (
    ENTRY,
    MAX_INDEX,
    block_table,
    block_table_of_offsets,
    serves,
)
from sonant.layers.kernels.triton_convolution import convolve
from tests.triton_kernels import DEVICE, needs_triton


@pytest.mark.parametrize("lengths", [(1,), (ENTRY, ENTRY + 1), (5, 3 * ENTRY, 7)], ids=str)
def test_the_block_table_holds_every_frame_once(lengths: tuple[int, ...]) -> None:
    table = block_table(lengths, DEVICE).tolist()
    frames = [start + row for start, length, first in table for row in range(first, min(first + ENTRY, length))]
    assert sorted(frames) == list(range(sum(lengths)))
    assert [length for _, length, _ in table] == sorted((length for _, length, _ in table), reverse=True)


def test_a_block_table_of_offsets_has_one_size_for_as_many_frames_and_clips() -> None:
    """And the entries of the table of lengths; those that are left are empty."""
    for lengths in ([ENTRY, 2 * ENTRY, 0, 1], [0, 0, 0, 3 * ENTRY + 1], [ENTRY - 1, 1, 1, 2 * ENTRY]):
        offsets = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
        table = block_table_of_offsets(offsets, 3 * ENTRY + 1)
        assert table.shape == (3 + 4, 3)
        filled = table[table[:, 1] > 0]
        assert sorted(filled.tolist()) == sorted(block_table(tuple(lengths), table.device).tolist())
        assert not table[len(filled) :].any()


def test_a_block_table_made_for_inference_serves_training() -> None:
    with torch.inference_mode():
        table = block_table((3, 999), DEVICE)
    assert not table.is_inference()


def test_a_kernel_is_tried_before_it_is_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_triton()
    from sonant.layers.kernels import triton_programs

    run = triton_blocks._runs.__wrapped__
    assert run(DEVICE)

    class WithoutCompiler:
        def __getitem__(self, grid: object) -> None:
            raise RuntimeError("Failed to find C compiler.")

    monkeypatch.setattr(triton_programs, "norm", WithoutCompiler())
    with pytest.warns(ModelWarning, match="Failed to find C compiler"):
        assert not run(DEVICE)


def test_no_kernel_on_a_cpu_nor_where_they_are_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_blocks, "HAS_TRITON", True)
    monkeypatch.setattr(triton_blocks, "_runs", lambda _: True)
    assert serves(torch.device("cuda"))
    assert not serves(torch.device("cpu"))
    monkeypatch.setenv("SONANT_KERNELS", "0")
    assert not serves(torch.device("cuda"))


def test_a_clip_beyond_the_indices_of_a_kernel_is_refused() -> None:
    """Before anything is launched: an index of 32 bits would come round to the clip's beginning, in silence."""
    query = torch.zeros(1, 2, 16)
    scores = RelativeKeyBias(torch.zeros(1, 2, 73), 64)
    for values, call in (
        (32, lambda frames: attend_triton(query, query, query, [frames])),
        (146, lambda frames: attend_triton(query, query, query, [3, frames], scores)),
        (16, lambda frames: convolve(query[0], torch.zeros(16, 8, 4), None, [frames])),
    ):
        with pytest.raises(ConfigurationError, match="window_seconds"):
            call(MAX_INDEX // values + 1)
