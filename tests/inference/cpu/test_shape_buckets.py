"""Rows of any number are computed in few sizes, and memory stays bounded."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
import torch

from sonant.inference.cpu.shape_buckets import LARGEST_BLOCK, LARGEST_PIECE, in_pieces, row_pieces, step_pieces


@pytest.mark.parametrize(
    ("pieces", "largest", "sizes"), [(row_pieces, LARGEST_PIECE, 68), (step_pieces, LARGEST_BLOCK, 16)]
)
def test_pieces_hold_every_row_and_have_few_sizes(pieces: Callable[[int], list[int]], largest: int, sizes: int) -> None:
    met: set[int] = set()
    for count in range(1, 5000):
        made = pieces(count)
        assert count <= sum(made) < count + (16 if pieces is row_pieces else 64)
        assert 0 < min(made) <= max(made) <= largest
        met.update(made)
    assert len(met) <= sizes
    assert pieces(0) == []


def test_little_is_computed_in_vain() -> None:
    lengths = range(33, 1001)
    assert sum(sum(row_pieces(count)) / count for count in lengths) / len(lengths) < 1.02


@pytest.mark.parametrize("count", [0, 1, 31, 49, 64, 65, 129, 256, 257, 499, 1000])
def test_every_row_comes_out_at_its_place(count: int) -> None:
    weight, rows = torch.randn(24, 8), torch.randn(count, 24)
    torch.testing.assert_close(in_pieces(lambda part: part @ weight, rows), rows @ weight)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_new_lengths_stop_costing_memory() -> None:
    """Before, the second hundred of lengths took as much as the first."""
    script = """
        import torch
        from sonant.benchmark.process_memory import held
        from sonant.inference import optimize
        from sonant.layers.packed import Packed
        from sonant.models import WavLMConfig, build
        from tests.shapes import SMALL

        torch.set_num_threads(1)
        model = optimize(build(WavLMConfig(**SMALL)))
        noise = torch.randn(320_000)
        lengths = 8_000 + 320 * torch.randperm(950, generator=torch.Generator().manual_seed(0))
        grown = []
        with torch.inference_mode():
            for number, length in enumerate(lengths.tolist()[:300]):
                model(Packed.pack([noise[:length]]))
                if number % 100 == 99:
                    grown.append(held() / 2**20)
        print(grown[2] - grown[0])
    """
    made = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert float(made.stdout) < 100, "MiB between the hundredth length and the three hundredth"
