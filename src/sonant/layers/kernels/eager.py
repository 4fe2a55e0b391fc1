"""Calls between compiled graphs. Importing this module imports the compiler, which takes seconds."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


@torch.compiler.disable  # type: ignore[untyped-decorator]
def call_eagerly(function: Callable[..., Tensor], *arguments: Any, **options: Any) -> Tensor:
    """Call a function outside of compiled graphs.

    The result is contiguous, as its strides are constants of the graph that follows.
    """
    return function(*arguments, **options).contiguous()
