"""Attention of packed clips on a CPU by C++ kernels (`cpu_attention.cpp`, `cpu_attention_gradient.cpp`)."""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.compiled import compiled


class _Strides(ctypes.Structure):
    """Strides of rows and heads, in values."""

    _fields_ = (("row", ctypes.c_int64), ("head", ctypes.c_int64))


class _Dropout(ctypes.Structure):
    """`Dropout` in the C++ source, field by field."""

    _fields_ = (("seed", ctypes.c_uint32), ("threshold", ctypes.c_int32), ("scale", ctypes.c_float))


class _Call(ctypes.Structure):
    """`Call` in the C++ source, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "result")),
        *((name, _Strides) for name in ("queries", "keys", "values")),
        *((name, ctypes.c_int64) for name in ("heads", "head_dim", "kind")),
        *((name, ctypes.c_void_p) for name in ("line", "gate")),
        *((name, _Strides) for name in ("lines", "gates")),
        *((name, ctypes.c_int64) for name in ("reach", "left", "right")),
        ("log_sums", ctypes.c_void_p),
        ("dropout", ctypes.POINTER(_Dropout)),
    )


class _GradientCall(ctypes.Structure):
    """`Call` in the C++ source of the gradient, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("query", "key", "value")),
        *((name, _Strides) for name in ("queries", "keys", "values")),
        *((name, ctypes.c_int64) for name in ("heads", "head_dim")),
        *((name, ctypes.c_void_p) for name in ("table", "gate")),
        *((name, ctypes.c_int64) for name in ("table_row", "reach")),
        ("dropout", ctypes.POINTER(_Dropout)),
        *((name, ctypes.c_void_p) for name in ("result", "gradient", "log_sums")),
        *((name, ctypes.c_void_p) for name in ("of_query", "of_key", "of_value", "of_gate", "of_table")),
    )


@dataclass(frozen=True)
class _Drawn:
    """Dropout of attention weights: its rate, and the seed by which forward and backward drop the same ones."""

    rate: float
    seed: int

    @classmethod
    def draw(cls, rate: float) -> "_Drawn":
        """Draw a seed from torch's random numbers."""
        return cls(rate, int(torch.randint(2**32, ())) if rate > 0 else 0)

    def pointer(self) -> Any:
        """The argument of a kernel, null without dropout."""
        if self.rate == 0:
            return None
        kept = 1 - self.rate
        return ctypes.pointer(_Dropout(self.seed, min(round(self.rate * 2**31), 2**31 - 1), 1 / kept if kept else 0.0))


def attend_cpu(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    bias: RelativeBias | RelativeKeyBias | None,
    *,
    dropout: float = 0.0,
) -> Tensor | None:
    """Softmax attention of each clip to itself; memory grows with the length.

    Gradients are computed in float32; a relative key bias has none, and no dropout.

    Args:
        query, key, value: (total, heads, head_dim), float32 or bfloat16, all of one dtype; rows and heads may be
            strided, as slices of one matrix product are.
        lengths: frames of each clip.
        bias: of the logits, converted to float32.
        dropout: probability of dropping an attention weight.

    Returns:
        (total, heads, head_dim), of the same dtype, accumulated in float32. None where the kernel is not available or
        does not support these tensors.
    """
    if not lengths or not _served(query, key, value, lengths, bias) or compiled("cpu_attention") is None:
        return None
    given = [query, key, value, *_tensors(bias)]
    gradient = torch.is_grad_enabled() and any(x.requires_grad for x in given)
    if not gradient and dropout == 0:
        return _attend(query, key, value, lengths, bias)
    if isinstance(bias, RelativeKeyBias) or compiled("cpu_attention_gradient") is None:
        return None
    table, gate = (None, None) if bias is None else (bias.table.float(), bias.gate.float())
    mixed: Tensor = _Attention.apply(
        query.float(), key.float(), value.float(), table, gate, lengths, _Drawn.draw(dropout)
    )
    return mixed.to(query.dtype)


class _Attention(torch.autograd.Function):
    """Attention in float32, without bias or with a gated one."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        table: Tensor | None,
        gate: Tensor | None,
        lengths: list[int],
        drawn: _Drawn,
    ) -> Tensor:
        log_sums = query.new_empty(query.shape[:2])
        bias = None if table is None or gate is None else RelativeBias(table, gate)
        result = _attend(query, key, value, lengths, bias, log_sums, drawn)
        ctx.save_for_backward(query, key, value, table, gate, result, log_sums)
        ctx.lengths, ctx.drawn = lengths, drawn
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, table, gate, result, log_sums = ctx.saved_tensors
        library = compiled("cpu_attention_gradient")
        assert library is not None
        gradient = gradient.contiguous()
        made = [torch.empty_like(result) for _ in range(3)]
        call = _GradientCall(
            *(x.data_ptr() for x in (query, key, value)),
            *(_strides(x) for x in (query, key, value)),
            *query.shape[1:],
        )
        of_table = of_gate = None
        if table is not None and gate is not None:
            margin = library.sonant_attention_margin()
            padded, gate = F.pad(table, (0, margin)), gate.contiguous()
            of_table, of_gate = padded.new_zeros(len(ctx.lengths), *padded.shape), torch.empty_like(gate)
            call.table, call.gate, call.table_row = padded.data_ptr(), gate.data_ptr(), padded.stride(0)
            call.reach = (table.shape[1] + 1) // 2
            call.of_gate, call.of_table = of_gate.data_ptr(), of_table.data_ptr()
        call.dropout = ctx.drawn.pointer()
        call.result, call.gradient, call.log_sums = (x.data_ptr() for x in (result, gradient, log_sums))
        call.of_query, call.of_key, call.of_value = (x.data_ptr() for x in made)
        _run(library.sonant_attention_gradient, call, ctx.lengths)
        if of_table is not None:
            of_table = of_table.sum(0)[:, : table.shape[1]]
        return *made, of_table, of_gate, None, None


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    bias: RelativeBias | RelativeKeyBias | None,
    log_sums: Tensor | None = None,
    drawn: _Drawn | None = None,
) -> Tensor:
    """Compute `attend_cpu` for tensors that are supported.

    Args:
        log_sums: (total, heads), float32, becomes the log-sum-exp of the logits of each query.
    """
    library = compiled("cpu_attention")
    assert library is not None
    result = torch.empty_like(query, memory_format=torch.contiguous_format)
    call = _Call(
        *(x.data_ptr() for x in (query, key, value, result)),
        *(_strides(x) for x in (query, key, value)),
        *query.shape[1:],
    )
    match bias:
        case RelativeBias(table=table, gate=gate):
            # The last queries of a tile read beyond the end of the table.
            table, gate = F.pad(table.float(), (0, library.sonant_attention_margin())), gate.float()
            call.kind, call.line, call.lines = 1, table.data_ptr(), _Strides(0, table.stride(0))
            call.gate, call.gates, call.reach = gate.data_ptr(), _strides(gate), (bias.table.shape[1] + 1) // 2
        case RelativeKeyBias(scores=scores, left=left):
            scores = scores.float().contiguous()
            call.kind, call.line, call.lines = 2, scores.data_ptr(), _strides(scores)
            call.left, call.right = left, scores.shape[2] - 1 - left
    call.log_sums = None if log_sums is None else log_sums.data_ptr()
    call.dropout = None if drawn is None else drawn.pointer()
    run = library.sonant_attention_float32 if query.dtype == torch.float32 else library.sonant_attention_bfloat16
    _run(run, call, lengths)
    return result


def _run(function: Any, call: ctypes.Structure, lengths: list[int]) -> None:
    clips = (ctypes.c_int64 * len(lengths))(*lengths)
    function(ctypes.byref(call), clips, ctypes.c_int64(len(clips)), ctypes.c_int64(torch.get_num_threads()))


def _tensors(bias: RelativeBias | RelativeKeyBias | None) -> list[Tensor]:
    match bias:
        case RelativeBias(table=table, gate=gate):
            return [table, gate]
        case RelativeKeyBias(scores=scores):
            return [scores]
    return []


def _served(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], bias: RelativeBias | RelativeKeyBias | None
) -> bool:
    """Return whether the kernel, which checks nothing itself, supports these inputs."""
    total, heads = query.shape[:2]
    match bias:
        case RelativeBias(table=table, gate=gate):
            fits = gate.shape == (total, heads) and len(table) == heads and table.shape[1] >= 2 * max(lengths) - 1
        case RelativeKeyBias(scores=scores, left=left):
            fits = scores.shape[:2] == (total, heads) and 0 <= left < scores.shape[2]
        case None:
            fits = query.dtype == torch.float32 or not _multiplies_tiles()
    return (
        fits
        and query.dtype in {torch.float32, torch.bfloat16}
        and sum(lengths) == total
        and min(lengths) >= 0
        and all(x.dtype == query.dtype and x.shape == query.shape and x.stride(2) == 1 for x in (query, key, value))
        and all(
            type(x) in {Tensor, nn.Parameter} and x.device.type == "cpu" for x in (query, key, value, *_tensors(bias))
        )
    )


@cache
def _multiplies_tiles() -> bool:
    """Return whether the processor has AMX, which attention of torch in bfloat16 uses and this kernel does not."""
    return getattr(torch.cpu, "_is_amx_tile_supported", bool)()


def _strides(x: Tensor) -> _Strides:
    return _Strides(x.stride(0), x.stride(1))
