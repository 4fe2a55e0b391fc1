"""Convolutions over rows of channels, for inference on a CPU: matrix products."""

import torch
from torch import Tensor, nn

from sonant.inference.linear import FloatPrecision, PreparedLinear
from sonant.layers.activations import Activation, activation


class Convolution(nn.Module):
    """A convolution without padding: a linear map of the windows, which are a view of the rows, and its activation.

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
        taps = weight.detach().transpose(1, 2).flatten(1)  # (out, kernel * in)
        self.linear = PreparedLinear(taps, bias, precision=precision, activation=activation)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""
        windows = rows.to(self.linear.dtype).unfold(0, self.kernel, self.stride)  # (fewer steps, in, kernel)
        return self.linear(windows.transpose(1, 2).flatten(1))


class PairedConvolution(nn.Module):
    """One of kernel 3 and stride 2 in float32, two outputs with five products instead of six.

    With taps a, b, c both outputs see the row between them, which the two even rows beside it are taken from:

        y[2j]     = a (x[4j] - x[4j+2]) + b x[4j+1] + m        m = (a + c) x[4j+2]
        y[2j + 1] = b x[4j+3] + c (x[4j+4] - x[4j+2]) + m

    Source: Winograd's F(2, 2), Arithmetic Complexity of Computations (1980), for the even rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None = None) -> None:
        super().__init__()
        first, middle, last = weight.detach().float().unbind(2)  # (out, in) each
        self.even = PreparedLinear(torch.cat([first, middle], 1), None, precision="float32")
        self.odd = PreparedLinear(torch.cat([middle, last], 1), None, precision="float32")
        self.shared = PreparedLinear(first + last, bias, precision="float32")
        self.activation = None if name is None else activation(name)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to ((steps - 1) // 2, out)."""
        steps, channels = (len(rows) - 1) // 2, rows.shape[1]
        pairs, whole = (steps + 1) // 2, steps // 2  # the last pair may lack its odd half
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
