"""Tests of the kernels against references in float64, forward and backward, and for equal results when repeated."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from contact import Contact, judged, relative
from facts import Fact
from row import Measure, Row
from torch import Tensor

from sonant.layers.attention import attend_reference
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.triton_attention import attend_triton
from sonant.layers.kernels.triton_clip_norm import norm_gelu, norm_gelu_reference
from sonant.layers.kernels.triton_convolution import convolve, convolve_reference
from sonant.layers.kernels.triton_norm import norm_reference, norm_triton

Bias = RelativeBias | RelativeKeyBias
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
SECTION = "Kernels against their references in float64"
# bias, type, channels of a head; the first decide whether the rest means anything
ATTENTION: list[tuple[str, torch.dtype, int]] = [
    ("gated", torch.bfloat16, 64),
    ("none", torch.bfloat16, 64),
    ("keys", torch.bfloat16, 64),
    ("gated", torch.float16, 64),
    ("gated", torch.float32, 64),
    ("none", torch.float32, 64),
    ("keys", torch.float32, 64),
]
WIDE_HEADS: list[tuple[str, torch.dtype, int]] = [("gated", torch.bfloat16, 80), ("gated", torch.float32, 80)]


def rows() -> Iterator[Row]:
    """Yield the rows of required tests, the most important first."""
    kinds = [attention_row(*kind) for kind in ATTENTION]
    yield kinds[0]
    yield Row("kernel convolution 48", SECTION, 25, partial(convolution, channels=48))
    yield Row("kernel norm", SECTION, 15, norm)
    yield Row("kernel clip norm", SECTION, 15, clip_norm)
    yield from kinds[1:]
    yield Row("kernel convolution 64", SECTION, 25, partial(convolution, channels=64))


def attention_row(kind: str, dtype: torch.dtype, head_dim: int) -> Row:
    """Return the row of one kind of attention."""
    name = f"kernel attention {kind} {name_of(dtype)} {head_dim}"
    measure: Measure = partial(attention, kind=kind, dtype=dtype, head_dim=head_dim)
    return Row(name, SECTION, 25, measure)


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a type without torch's prefix."""
    return str(dtype).removeprefix("torch.")


def attention(contact: Contact, *, kind: str, dtype: torch.dtype, head_dim: int) -> Iterator[Fact]:
    """Test the deviation of the output and of all gradients, equal results when repeated, and dropout masks."""
    if contact.trial:
        head_dim, dtype = 16, contact.half if dtype == torch.bfloat16 else dtype
        lengths = [20, 1, 40]
    else:
        lengths = [*torch.randint(1, 900, (12,)).tolist(), 1, 128, 64]
    parts = parts_of(contact, lengths, 4, head_dim, kind, dtype)
    exact = [part.detach().double().requires_grad_() for part in parts]
    ours = attend_triton(*parts[:3], lengths, bias_of(parts))
    again = attend_triton(*parts[:3], lengths, bias_of(parts))
    expected = attend_reference(*exact[:3], lengths, bias_of(exact))
    weights = torch.randn(ours.shape, device=contact.device, dtype=torch.float64)
    given, second = (torch.autograd.grad((out * weights).sum(), parts) for out in (ours, again))
    wanted = torch.autograd.grad((expected * weights).sum(), exact)
    names = ("query", "key", "value", *(("scores",) if kind == "keys" else ("gate", "table")))
    gradients = dict(zip(names, map(relative, given, wanted), strict=False))
    worst = max(gradients, key=gradients.__getitem__)
    fact = {
        "kernel": f"attention, {kind}",
        "type": name_of(dtype),
        "width": head_dim,
        "output": relative(ours, expected),
        "worst gradient": gradients[worst],
        "of": worst,
        "same twice": all(map(torch.equal, (ours, *given), (again, *second))),
        "dropout": dropout_disagreement(parts, lengths),
    }
    tolerance = TOLERANCES[dtype]
    repeats = 0.0 if fact["same twice"] else float("inf")
    yield judged(fact, tolerance, fact["output"], gradients[worst], fact["dropout"], repeats)


def dropout_disagreement(parts: list[Tensor], lengths: list[int]) -> float:
    """Return how far the dropout masks of forward and backward differ.

    The output is linear in the values: times any weights it is the values times their gradient, if masks are the same.
    """
    ours = attend_triton(*parts[:3], lengths, bias_of(parts), dropout=0.3)
    weights = torch.randn_like(ours)
    of_parts = torch.autograd.grad(ours, parts, weights)
    there, back = ((a.double() * b.double()) for a, b in ((ours, weights), (of_parts[2], parts[2])))
    return ((there.sum() - back.sum()).abs() / there.norm()).item()


def parts_of(
    contact: Contact, lengths: list[int], heads: int, head_dim: int, kind: str, dtype: torch.dtype
) -> list[Tensor]:
    """Return query, key, value; then gate and table, or scores. With gradients."""
    total = sum(lengths)
    shapes = {"none": [], "gated": [(total, heads), (heads, 2 * max(lengths) - 1)], "keys": [(total, heads, 73)]}[kind]
    parts = [torch.randn(total, heads, head_dim, device=contact.device).to(dtype) for _ in range(3)]
    wide = torch.float32 if kind == "gated" else dtype
    parts += [torch.randn(shape, device=contact.device).to(wide) for shape in shapes]
    return [part.requires_grad_() for part in parts]


def bias_of(parts: list[Tensor]) -> Bias | None:
    """Return the bias that the parts after the first three make up."""
    match parts[3:]:
        case [gate, table]:
            return RelativeBias(table, gate)
        case [scores]:
            return RelativeKeyBias(scores, 64)
    return None


def convolution(contact: Contact, *, channels: int) -> Iterator[Fact]:
    """Test the positional convolution, of Base (48 channels a group) or Large (64)."""
    groups, taps, lengths = 16, 128, [*torch.randint(1, 900, (12,)).tolist(), 1, 128]
    if contact.trial:
        channels, groups, taps, lengths = 16, 2, 4, [20, 1, 40]
    dim, dtype = channels * groups, contact.half
    shapes = (sum(lengths), dim), (dim, channels, taps), (dim,)
    parts = [torch.randn(shape, device=contact.device).to(dtype).requires_grad_() for shape in shapes]
    exact = [part.detach().double().requires_grad_() for part in parts]
    ours, again = convolve(*parts, lengths), convolve(*parts, lengths)
    expected = convolve_reference(*exact, lengths)
    weights = torch.randn_like(expected)
    given, second = (torch.autograd.grad((out * weights).sum(), parts) for out in (ours, again))
    worst = max(map(relative, given, torch.autograd.grad((expected * weights).sum(), exact)))
    same = all(map(torch.equal, (ours, *given), (again, *second)))
    fact = {"kernel": "convolution", "type": name_of(dtype), "width": channels, "output": relative(ours, expected)}
    fact |= {"worst gradient": worst, "same twice": same}
    yield judged(fact, TOLERANCES[dtype], fact["output"], worst, 0.0 if same else float("inf"))


def norm(contact: Contact) -> Iterator[Fact]:
    """Test the sum with the norm that follows it, and GELU alone."""
    rows, dim = (40, 48) if contact.trial else (4000, 1024)
    x, weight, bias = (torch.randn(shape, device=contact.device) for shape in ((rows, dim), (dim,), (dim,)))
    added = torch.randn(rows, dim, device=contact.device).to(contact.half)
    for dtype in (torch.float32, contact.half):
        for what, arguments, more in (
            ("sum and norm", (weight, bias, 1e-5), {"added": added, "kept": "sum"}),
            ("GELU", (None, None, 0.0), {"gelu": True}),
        ):
            given = norm_triton(x, *arguments, dtype, **more)  # type: ignore[arg-type]
            expected = norm_reference(x, *arguments, torch.float32, **more)  # type: ignore[arg-type]
            output = relative(given[0], expected[0])
            fact = {"kernel": what, "type": name_of(dtype), "width": dim, "output": output}
            yield judged(fact, TOLERANCES[dtype], output)


def clip_norm(contact: Contact) -> Iterator[Fact]:
    """Test the norm of channels over clips with GELU, both ways and twice, and time it beside PyTorch's."""
    channels, lengths = (4, [100, 30]) if contact.trial else (512, [50_000] * 21 + [31_234])
    starts = [0, *torch.tensor([-(-length // 64) * 64 for length in lengths]).cumsum(0).tolist()]
    shapes = (1, channels, starts.pop()), (channels,), (channels,)
    stream, weight, bias = (torch.randn(shape, device=contact.device) for shape in shapes)
    given = [part.requires_grad_() for part in (stream.to(contact.half), weight, bias)]
    slope = torch.randn_like(given[0])

    def both_ways(function: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        result = function(*given, starts, lengths)
        return result, *torch.autograd.grad(result, given, slope)

    ours, again, theirs = both_ways(norm_gelu), both_ways(norm_gelu), both_ways(norm_gelu_reference)
    worst = max(map(relative, ours[1:], theirs[1:]))
    same = all(map(torch.equal, ours, again))
    fact = {"kernel": "clip norm and GELU", "type": name_of(contact.half), "width": channels}
    fact |= {"output": relative(ours[0], theirs[0]), "worst gradient": worst, "same twice": same}
    fact |= {"ms": contact.milliseconds(lambda: both_ways(norm_gelu))}
    fact |= {"ms by torch": contact.milliseconds(lambda: both_ways(norm_gelu_reference))}
    yield judged(fact, TOLERANCES[contact.half], fact["output"], worst, 0.0 if same else float("inf"))
