"""Convolutions over rows of channels, for inference on a CPU."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sonant.inference.cpu.linear import FloatPrecision, linear_product
from sonant.inference.cpu.shape_buckets import filled, step_pieces
from sonant.layers.clip_norm import EPS, ClipGroupNorm
from sonant.layers.conv_extractor import ClipNorm
from sonant.layers.kernels.activations import Activation, activation
from sonant.running_moments import RunningMoments


class Convolution(nn.Module):
    """A convolution without padding as a matrix product with a strided view of the rows, and its activation.

    The number of rows should be one of few, see `shape_buckets`.

    Args:
        weight: (out, in, kernel).
        bias: (out,).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        *,
        precision: FloatPrecision,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = weight.shape[2], stride
        self.dtype: torch.dtype = getattr(torch, precision)
        taps = weight.detach().transpose(1, 2).flatten(1)  # (out, kernel * in)
        self.product = linear_product(taps, bias, precision, activation)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""
        windows = rows.to(self.dtype).unfold(0, self.kernel, self.stride)  # (fewer steps, in, kernel)
        return self.product(windows.transpose(1, 2).flatten(1))


class PairedConvolution(nn.Module):
    """A convolution of kernel 3 and stride 2 in float32, two outputs by five products instead of six.

    With taps a, b, c:

        y[2j]     = a (x[4j] - x[4j+2]) + b x[4j+1] + m        m = (a + c) x[4j+2]
        y[2j + 1] = b x[4j+3] + c (x[4j+4] - x[4j+2]) + m

    Source: Winograd's F(2, 2), Arithmetic Complexity of Computations (1980), for the even rows.
    """

    kernel, stride = 3, 2

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None = None) -> None:
        super().__init__()
        first, middle, last = weight.detach().float().unbind(2)  # (out, in) each
        self.even = linear_product(torch.cat([first, middle], 1), None, "float32")
        self.odd = linear_product(torch.cat([middle, last], 1), None, "float32")
        self.shared = linear_product(first + last, bias, "float32")
        self.activation = None if name is None else activation(name)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to ((steps - 1) // 2, out)."""
        steps, channels = (len(rows) - 1) // 2, rows.shape[1]
        pairs, whole = (steps + 1) // 2, steps // 2  # the last pair may lack its second output
        between = rows[2::4][:pairs]
        shared = self.shared(between)  # (pairs, out)
        out = rows.new_empty(steps, shared.shape[1])
        seen = rows.new_empty(pairs, 2 * channels)
        left, right = seen.split(channels, 1)
        torch.sub(rows[0::4][:pairs], between, out=left)
        right.copy_(rows[1::4][:pairs])
        torch.add(self.even(seen), shared, out=out[0::2])
        left[:whole] = rows[3::4][:whole]
        torch.sub(rows[4::4][:whole], between[:whole], out=right[:whole])
        torch.add(self.odd(seen[:whole]), shared[:whole], out=out[1::2])
        return out if self.activation is None else self.activation(out)


class ClipNormed(nn.Module):
    """A convolution, a norm over all channels and rows of a clip, an activation."""

    def __init__(
        self,
        convolution: Convolution | PairedConvolution,
        norm: ClipNorm | ClipGroupNorm,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, activation
        self.kernel, self.stride = convolution.kernel, convolution.stride
        self.weight, self.bias = norm.weight.detach().float(), norm.bias.detach().float()

    def forward(self, rows: Tensor) -> Tensor:
        """Compute all steps of a clip, (steps, in) to (fewer steps, out), in float32."""
        out = torch.empty((len(rows) - self.kernel) // self.stride + 1, len(self.weight), dtype=torch.float32)
        moments, start = RunningMoments(0.0, 0.0), 0
        sizes = step_pieces(len(out))
        blocks = out.split([*sizes[:-1], len(out) - sum(sizes[:-1])]) if sizes else ()
        for block, size in zip(blocks, sizes, strict=True):
            seen = (size - 1) * self.stride + self.kernel
            block.copy_(self.convolution(filled(rows[start : start + seen], seen))[: len(block)])
            start += size * self.stride
            own = block.mean()
            moments.add(block.numel(), float(own), float((block - own).square_().sum()))
        factor = self.weight * (moments.squares / moments.count + EPS) ** -0.5
        for block in blocks:
            block.copy_(self.activation(block.sub_(moments.mean).mul_(factor).add_(self.bias)))
        return out
