"""The Triton kernels equal the reference, forward and backward; without a GPU, in Triton's interpreter."""

import pytest
import torch
from torch import Tensor

from sonant.layers.attention import attend_reference
from sonant.layers.kernels import triton_attention
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.triton_attention import HALF, attend_blocks, attend_triton
from sonant.layers.kernels.triton_blocks import ENTRY, block_table
from tests.triton_kernels import DEVICE, needs_triton

needs_triton()

KINDS = ("none", "gated", "keys")
each_kind = pytest.mark.parametrize("kind", KINDS)
ACROSS = [ENTRY + 3, 1, 64]  # more than an entry of the block table, a single frame, exactly a block


@pytest.fixture(autouse=True)
def large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiles of half precision for float32 too: they are fewer, and so the tests faster."""
    monkeypatch.setattr(triton_attention, "FULL", HALF)


def inputs(
    lengths: list[int], kind: str, *, heads: int = 2, head_dim: int = 16, beyond: int = 0, dtype: torch.dtype
) -> list[Tensor]:
    """Query, key and value with peaky logits; then the gate and the table, or the scores."""
    generator = torch.Generator().manual_seed(sum(lengths) + heads)
    total = sum(lengths)
    shapes = {
        "none": [],
        "gated": [(total, heads), (heads, 2 * (max(lengths) + beyond) - 1)],
        "keys": [(total, heads, 7 * beyond + 4)],
    }[kind]
    parts = [torch.randn(total, heads, head_dim, generator=generator) * scale for scale in (3, 1, 1)]
    parts += [torch.randn(shape, generator=generator) for shape in shapes]
    return [part.to(DEVICE, dtype).requires_grad_() for part in parts]


def bias_of(parts: list[Tensor], beyond: int = 0) -> RelativeBias | RelativeKeyBias | None:
    match parts[3:]:
        case [gate, table]:
            return RelativeBias(table, gate)
        case [scores]:
            return RelativeKeyBias(scores, 7 * beyond)
    return None


def assert_close(ours: Tensor, expected: Tensor, tolerance: float) -> None:
    """Relative to the norm of what is expected."""
    assert ours.shape == expected.shape
    assert (ours.double() - expected).norm() <= tolerance * expected.norm()


def check(lengths: list[int], kind: str, *, tolerance: float, dtype: torch.dtype = torch.float32, **shape: int) -> None:
    """Output and every gradient against those of the reference in float64."""
    parts = inputs(lengths, kind, dtype=dtype, **shape)
    exact = [part.detach().double().requires_grad_() for part in parts]
    beyond = shape.get("beyond", 0)
    ours = attend_triton(*parts[:3], lengths, bias_of(parts, beyond))
    expected = attend_reference(*exact[:3], lengths, bias_of(exact, beyond))
    assert ours.dtype == dtype
    assert_close(ours, expected, tolerance)
    weights = torch.randn(ours.shape, device=DEVICE, dtype=torch.float64)
    gradients = torch.autograd.grad((ours * weights).sum(), parts)
    for one, other in zip(gradients, torch.autograd.grad((expected * weights).sum(), exact), strict=True):
        assert_close(one, other, tolerance)


@each_kind
@pytest.mark.parametrize("lengths", [[1, 2], [5, 40, 9], pytest.param(ACROSS, marks=pytest.mark.slow)], ids=str)
def test_output_and_gradients_equal_the_reference(lengths: list[int], kind: str) -> None:
    check(lengths, kind, tolerance=1e-5)


@pytest.mark.slow
@each_kind
def test_positions_reach_beyond_the_clips(kind: str) -> None:
    check([70, 3, 33], kind, beyond=3, tolerance=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head_dim", [24, 80])
def test_any_width_of_a_head(head_dim: int) -> None:
    check([20, 70], "gated", head_dim=head_dim, tolerance=1e-5)


def test_half_precision() -> None:
    check([40, 3], "gated", dtype=torch.float16, tolerance=3e-3)


@pytest.mark.slow
@each_kind
def test_the_small_tiles_of_float32(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    check([70, 1, 33], kind, beyond=1, tolerance=1e-5)


def test_slices_of_one_product_are_taken_as_they_lie() -> None:
    lengths = [30, 7]
    parts = inputs(lengths, "gated", dtype=torch.float32)
    expected = attend_triton(*parts[:3], lengths, bias_of(parts))
    together = torch.cat([part.flatten(1) for part in parts[:3]], 1)  # (total, 3 * dim)
    sliced = [part.unflatten(1, (2, -1)) for part in together.chunk(3, 1)]
    assert not sliced[0].is_contiguous()
    table = parts[4].detach().T.contiguous().T  # as an embedding gives it
    torch.testing.assert_close(attend_triton(*sliced, lengths, RelativeBias(table, parts[3])), expected)
    apart = [sliced[0], parts[1], parts[2].transpose(0, 1).contiguous().transpose(0, 1)]
    torch.testing.assert_close(attend_triton(*apart, lengths, bias_of(parts)), expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the interpreter
@each_kind
def test_nan_stays_in_its_clip(kind: str) -> None:
    lengths = [4, 66, 6]
    parts = [part.detach() for part in inputs(lengths, kind, dtype=torch.float32)]
    for part in parts[:3]:
        part[4:70] = float("nan")
    mixed = attend_triton(*parts[:3], lengths, bias_of(parts))
    assert mixed[4:70].isnan().all()
    assert mixed[:4].isfinite().all()
    assert mixed[70:].isfinite().all()


@pytest.mark.parametrize("beyond", [0, 7, ENTRY, 200])
def test_a_table_reaches_beyond_the_clips_as_far_as_kernels_read(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they read there counts for nothing, but has to be memory of theirs."""
    lengths, seen = [5, 33], []
    parts = inputs(lengths, "gated", beyond=beyond, dtype=torch.float32)
    kernel = triton_attention.packed_attention
    monkeypatch.setattr(triton_attention, "packed_attention", lambda *given: seen.append(given[5]) or kernel(*given))
    mixed = attend_triton(*parts[:3], lengths, bias_of(parts))
    reach = 33 + max(beyond, ENTRY)
    assert [table.shape for table in seen] == [(2, 2 * reach - 1)]
    (gradient,) = torch.autograd.grad(mixed.square().sum(), parts[4])
    assert gradient.shape == parts[4].shape


def test_frames_of_no_clip_are_left_out() -> None:
    """As where a batch is filled up to a size, with whatever lay there."""
    lengths = [5, 33]
    parts = inputs(lengths, "gated", beyond=ENTRY, dtype=torch.float32)
    expected = attend_triton(*parts[:3], lengths, bias_of(parts))
    behind = [torch.cat([part, part.new_full((10, *part.shape[1:]), float("nan"))]) for part in parts[:4]]
    blocks = block_table(tuple(lengths), DEVICE)
    empty = torch.cat([blocks, blocks.new_zeros(4, 3)])
    mixed = attend_blocks(*behind[:3], empty, RelativeBias(parts[4], behind[3]))
    assert torch.equal(mixed[:38], expected)


def kept(seed: int, heads: int, start: int, length: int, dropout: float) -> Tensor:
    """Which weights of a clip dropout must leave, from the formula: bool (heads, length, length)."""

    def mixed(x: Tensor) -> Tensor:
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    head, row, column = (torch.arange(size, device=DEVICE) for size in (heads, length, length))
    line = mixed((mixed(seed + head)[:, None] + start + row) & 0xFFFFFFFF)
    return (mixed((line[..., None] + column * 0x9E3779B1) & 0xFFFFFFFF) >> 1) >= round(dropout * 2**31)


@each_kind
def test_dropout_is_the_same_forward_and_backward(kind: str) -> None:
    """Both equal the reference with the mask that the seed stands for."""
    lengths, dropout = [30, 5], 0.3
    parts = inputs(lengths, kind, dtype=torch.float32)
    exact = [part.detach().double().requires_grad_() for part in parts]
    torch.manual_seed(7)
    ours = attend_triton(*parts[:3], lengths, bias_of(parts), dropout=dropout)
    torch.manual_seed(7)
    seed = int(torch.randint(2**31 - 1, (1,), dtype=torch.int32, device=DEVICE))
    identity = torch.eye(35, dtype=torch.float64, device=DEVICE)[:, None].expand(-1, 2, -1)
    weights = attend_reference(*exact[:2], identity, lengths, bias_of(exact))  # (total, heads, total)
    masks = [kept(seed, 2, start, length, dropout) for start, length in ((0, 30), (30, 5))]
    mask = torch.stack([torch.block_diag(*clips) for clips in zip(*masks, strict=True)], 1)
    assert abs(mask.sum() / (2 * 30**2 + 2 * 5**2) - 0.7) < 0.05
    expected = torch.einsum("qhk,khd->qhd", weights * mask / 0.7, exact[2])
    assert_close(ours, expected, 1e-5)
    slope = torch.randn_like(expected)
    gradients = torch.autograd.grad((ours * slope).sum(), parts)
    for one, other in zip(gradients, torch.autograd.grad((expected * slope).sum(), exact), strict=True):
        assert_close(one, other, 1e-5)


@pytest.mark.slow
@each_kind
def test_the_operators_keep_their_promises(kind: str) -> None:
    """Schema, shapes without data, gradients under tracing: what a compiler relies on."""
    lengths = (9, 4)
    parts = inputs(list(lengths), kind, beyond=ENTRY if kind == "gated" else 0, dtype=torch.float32)
    gate, positions = [None, None, *parts[3:]][-2:]
    seed = torch.tensor([3], dtype=torch.int32, device=DEVICE)
    arguments = (*parts[:3], block_table(lengths, DEVICE), gate, positions, 0, seed, 0.1)
    torch.library.opcheck(triton_attention.packed_attention, arguments)


def test_a_compiled_graph_does_not_break() -> None:
    lengths = [20, 5]
    parts = inputs(lengths, "gated", dtype=torch.float32)

    def halved(*parts: Tensor) -> Tensor:
        return attend_triton(*(part / 2 for part in parts[:3]), lengths, RelativeBias(parts[4], parts[3])) * 2

    compiled = torch.compile(halved, fullgraph=True, backend="aot_eager")
    expected, ours = halved(*parts), compiled(*parts)
    assert_close(ours, expected, 1e-6)
    gradients = (torch.autograd.grad(out.square().sum(), parts) for out in (ours, expected))
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, 1e-6)
