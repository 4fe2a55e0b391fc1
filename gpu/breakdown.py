"""The time of each part of WavLM Large on 32 clips of 10 s, and of other ways to compute the same."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from contact import Contact
from facts import Fact
from kernels import bias_of, parts_of
from row import Row
from torch import Tensor

from sonant.inference.cuda import blocks
from sonant.inference.cuda.extractor import CudaExtractor
from sonant.layers.attention import attend_by_torch
from sonant.layers.kernels import triton_convolution
from sonant.layers.kernels.triton_attention import attend_triton
from sonant.layers.kernels.triton_norm import norm_reference, norm_rows
from sonant.layers.packed import Packed
from training import without

SECTION = "WavLM Large, 32 clips of 10 s, bfloat16"


def rows() -> Iterator[Row]:
    """Yield the rows of the whole, its parts, and block sizes of the feed-forward layers."""
    yield Row("parts of 32 x 10 s", SECTION, 40, parts)
    yield Row("profile of 32 x 10 s", SECTION, 20, profile)
    yield Row("feed-forward rows", SECTION, 20, feed_forward)


def last_rows() -> Iterator[Row]:
    """Yield the rows of attention at every length beside PyTorch's, and of a compiled layer."""
    for length in (500, 1500, 250, 3000, 100, 16_000):
        measure = partial(attention, length=length)
        yield Row(f"attention {length}", "Attention, 16,000 frames of WavLM Large, bfloat16, ms", 20, measure)
    yield Row("compiled layer", SECTION, 60, compiled)


class _Large:
    """The parts of WavLM Large, with frames as input for each."""

    def __init__(self, contact: Contact) -> None:
        self.model: Any = contact.optimized("WavLM Large", "bfloat16")
        self.speech = contact.clips([10.0] * 32)
        features = self.model.features(self.speech)
        self.frames = features.with_values(self.model.projection(self.model.projection.norm(features.values)))
        self.encoder = self.model.encoder.encoder
        self.layer, self.x = self.encoder.layers[0], self.frames.values
        (self.table,) = self.model.encoder._table(max(self.frames.sizes), keep=False)  # noqa: SLF001

    def through_layer(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x, self.frames.sizes, self.table)
        return result


@torch.no_grad()
def parts(contact: Contact) -> Iterator[Fact]:
    """Measure milliseconds of each part, and of alternatives to it."""
    large = _Large(contact)
    model, frames, layer, x = large.model, large.frames, large.layer, large.x
    norm = layer.feed_forward_norm
    arguments = (norm.weight, norm.bias, norm.eps, torch.bfloat16)
    mixed = layer.attention(x, frames.sizes, large.table)
    calls: dict[str, Callable[[], object]] = {
        "all": lambda: model(large.speech, layers=["last"]),
        "extractor": lambda: model.features(large.speech),
        "extractor, convolutions of channels last": lambda: channels_last(model.extractor, large.speech),
        "positional convolution": lambda: large.encoder.positions(frames),
        "positional convolution, channels last": lambda: channels_last_positions(large.encoder, frames),
        "layers": lambda: model.encoder(frames, [], last=True),
        "a layer": lambda: large.through_layer(x),
        "its attention, with the products": lambda: layer.attention(x, frames.sizes, large.table),
        "its feed-forward block": lambda: layer.feed_forward(x),
        "its sum and norm": lambda: norm_rows(x, *arguments, added=mixed, kept="sum"),
        "its sum and norm, by torch": lambda: norm_reference(x, *arguments, added=mixed, kept="sum"),
    }
    for what, call in calls.items():
        yield {"what": what, "ms": contact.milliseconds(call)}
    with without(triton_convolution):
        yield {"what": "positional convolution, by torch", "ms": contact.milliseconds(calls["positional convolution"])}
    warps = triton_convolution.WARPS
    try:
        triton_convolution.WARPS = 8
        yield {"what": "positional convolution, 8 warps", "ms": contact.milliseconds(calls["positional convolution"])}
    finally:
        triton_convolution.WARPS = warps


@torch.no_grad()
def profile(contact: Contact) -> Iterator[Fact]:
    """Write a profile of all kernels, longest first, into a file."""
    large = _Large(contact)
    call = partial(large.model, large.speech, layers=["last"])
    call()
    contact.profile("profile_encoding.txt", call)
    yield {"what": "see profile_encoding.txt"}


@torch.no_grad()
def feed_forward(contact: Contact) -> Iterator[Fact]:
    """Time the feed-forward layers on blocks of frames; small ones keep the widest tensor in the cache."""
    large = _Large(contact)
    kept = blocks.ROWS
    try:
        for rows in (2048, 4096, 8192, 16_384):
            blocks.ROWS = rows
            ms = contact.milliseconds(lambda: large.layer.feed_forward(large.x))
            yield {"what": f"its feed-forward block, {rows} rows at a time", "ms": ms}
    finally:
        blocks.ROWS = kept


@torch.no_grad()
def compiled(contact: Contact) -> Iterator[Fact]:
    """Time a layer compiled by PyTorch, without the compilation."""
    large = _Large(contact)
    if not contact.on_gpu:
        yield {"what": "a layer, compiled", "ms": "needs a GPU"}
        return
    layer = torch.compile(large.through_layer)
    yield {"what": "a layer, compiled", "ms": contact.milliseconds(lambda: layer(large.x))}


def channels_last(extractor: CudaExtractor, speech: Packed) -> Tensor:
    """Run the convolutions after the first in channels-last layout, by the library of the GPU."""
    start = torch.randn(
        extractor.num_frames(speech.lengths).sum() * 64 + 15, extractor.channels, device=speech.values.device
    )
    x = start.to(extractor.dtype).T[None, :, None].contiguous(memory_format=torch.channels_last)
    for layer in extractor.rest:
        taps = torch.cat([part.unflatten(1, (-1, x.shape[1])) for part in layer.parts], 1)  # (out, kernel, in)
        weight = taps.transpose(1, 2)[:, :, None].contiguous(memory_format=torch.channels_last)
        x = layer.finish.activation(F.conv2d(x, weight, layer.bias, (1, layer.stride)))
    return x


def channels_last_positions(encoder: Any, frames: Packed) -> Tensor:
    """Run the library's grouped convolution in channels-last layout."""
    positions = encoder.positions
    x = frames.values.to(positions.weight.dtype).T[None, :, None].contiguous(memory_format=torch.channels_last)
    weight = positions.weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, positions.bias, padding=(0, weight.shape[3] // 2), groups=positions.groups)


def attention(contact: Contact, *, length: int) -> Iterator[Fact]:
    """Time attention of a layer of WavLM Large in clips of one length: forward, and forward and backward."""
    heads, head_dim, total, length = (2, 16, 64, 32) if contact.trial else (16, 64, 16_000, length)
    lengths = [length] * max(1, total // length)
    given = parts_of(contact, lengths, heads, head_dim, "gated", contact.half)
    tera = 4e-9 * sum(lengths) * length * heads * head_dim

    def spelled_out(*parts: Tensor) -> Tensor:
        q, k, v = (x.unflatten(0, (len(lengths), -1)).transpose(1, 2) for x in parts[:3])
        position = torch.arange(length, device=q.device)
        wide = parts[4].to(q.dtype)[:, position[None, :] - position[:, None] + length - 1]
        gate = parts[3].to(q.dtype).unflatten(0, (len(lengths), -1)).transpose(1, 2)[..., None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=gate * wide).transpose(1, 2).flatten(0, 1)

    calls: dict[str, Callable[..., Tensor]] = {
        "Triton": lambda *p: attend_triton(*p[:3], lengths, bias_of(list(p))),
        "Triton without a bias": lambda *p: attend_triton(*p[:3], lengths),
        "SDPA without a bias": lambda *p: attend_by_torch(*p[:3], lengths),
    }
    if length * total < 6e7:  # else tens of gigabytes
        calls["SDPA, bias spelled out"] = spelled_out
    slope = torch.randn_like(given[2])
    for name, call in calls.items():
        own = given[:3] if "without" in name else given
        with torch.no_grad():
            forward = contact.milliseconds(lambda call=call, own=own: call(*own))
        back = contact.milliseconds(lambda call=call, own=own: torch.autograd.grad(call(*own), own, slope))
        fact = {"clips of": length, "kernel": name, "forward": forward, "TFLOP/s": tera / forward}
        yield {**fact, "both ways": back}
