"""Other tilings of each kernel of attention: the fastest should be the one in use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from contact import Contact
from facts import Fact
from kernels import bias_of, parts_of
from row import Row

from sonant.layers.kernels import triton_attention
from sonant.layers.kernels.triton_attention import Tiling, attend_triton
from sonant.layers.kernels.triton_blocks import ENTRY, block_table

SECTION = "Cuts of the attention kernels, clips of 10 s and more, ms"
Cut = tuple[str, str, Tiling]  # kernel, "half" or "float32", how it is cut
CUTS: list[Cut] = [
    ("forward", "half", Tiling(64, 64, 4, 2, peeled=True)),
    ("forward", "half", Tiling(64, 64, 4, 2)),
    ("forward", "half", Tiling(64, 64, 4, 3, peeled=True)),
    ("forward", "half", Tiling(128, 64, 8, 2, peeled=True)),
    ("forward", "half", Tiling(128, 64, 4, 2, peeled=True)),
    ("forward", "half", Tiling(128, 32, 4, 2, peeled=True)),
    ("query_gradient", "half", Tiling(64, 32, 4, 2, peeled=True)),
    ("query_gradient", "half", Tiling(64, 32, 4, 2)),
    ("query_gradient", "half", Tiling(64, 64, 4, 2, peeled=True)),
    ("query_gradient", "half", Tiling(128, 32, 8, 2, peeled=True)),
    ("key_gradient", "half", Tiling(64, 32, 4, 2, peeled=True)),
    ("key_gradient", "half", Tiling(64, 32, 4, 2)),
    ("key_gradient", "half", Tiling(128, 32, 8, 2, peeled=True)),
    ("table_gradient", "half", Tiling(64, 64, 4, 1)),
    ("table_gradient", "half", Tiling(64, 64, 8, 1)),
    ("forward", "float32", Tiling(32, 32, 8, 1)),
    ("forward", "float32", Tiling(32, 32, 4, 1)),
    ("forward", "float32", Tiling(64, 32, 4, 2, precision="tf32x3")),
    ("query_gradient", "float32", Tiling(32, 32, 8, 1)),
    ("query_gradient", "float32", Tiling(32, 32, 4, 1)),
    ("query_gradient", "float32", Tiling(64, 32, 4, 2, precision="tf32x3")),
]


def rows() -> Iterator[Row]:
    """Yield a row for each tiling, so that one that hangs does not stop the others."""
    for number, (kernel, precision, tiling) in enumerate(CUTS):
        measure = partial(timed, kernel=kernel, precision=precision, tiling=tiling)
        yield Row(f"cut {number} {kernel} {precision}", SECTION, 15, measure)


def timed(contact: Contact, *, kernel: str, precision: str, tiling: Tiling) -> Iterator[Fact]:
    """Measure milliseconds at two lengths of clips."""
    tilings = triton_attention.HALF if precision == "half" else triton_attention.FULL
    cut = f"{tiling.block} x {tiling.step}, {tiling.warps} warps, {tiling.stages} stages"
    fact: Fact = {"kernel": kernel, "type": precision, "cut": cut, "peeled": tiling.peeled}
    fact |= {"products": tiling.precision, "in use": tiling == tilings[kernel]}
    with using(kernel, precision, tiling):
        for length in (500, 3000) if kernel == "forward" else (500, 780):
            lengths = [8, 9] if contact.trial else [length] * (16_000 // length)
            try:
                fact[f"ms at {length}"] = contact.milliseconds(one_kernel(contact, kernel, precision, lengths))
            except Exception as error:  # noqa: BLE001  a cut that does not fit this device is a fact too
                contact.synchronize()  # raises what leaves the device unusable
                fact[f"ms at {length}"] = type(error).__name__
    yield fact


@contextmanager
def using(kernel: str, precision: str, tiling: Tiling) -> Iterator[None]:
    """Use a tiling for a kernel while the context is open."""
    tilings = triton_attention.HALF if precision == "half" else triton_attention.FULL
    kept, tilings[kernel] = tilings[kernel], tiling
    try:
        yield
    finally:
        tilings[kernel] = kept


def one_kernel(contact: Contact, kernel: str, precision: str, lengths: list[int]) -> Callable[[], object]:
    """Return a call of the forward kernel, or of all three backward ones; all but `kernel` keep their tiling."""
    heads, head_dim = (2, 16) if contact.trial else (16, 64)
    dtype = contact.half if precision == "half" else torch.float32
    parts = [part.detach() for part in parts_of(contact, lengths, heads, head_dim, "gated", dtype)]
    if kernel == "forward":
        return lambda: attend_triton(*parts[:3], lengths, bias_of(parts))
    query, key, value, gate, table = parts
    table = torch.nn.functional.pad(table, (ENTRY, ENTRY))
    blocks = block_table(tuple(lengths), query.device)
    out, log_sums = triton_attention.packed_attention(query, key, value, blocks, gate, table, 0, None, 0.0)
    slope = torch.randn_like(out)
    return lambda: triton_attention.packed_attention_backward(
        slope, out, log_sums, query, key, value, blocks, gate, table, 0, None, 0.0
    )
