"""Where tests of the Triton kernels can run: on a GPU, or in Triton's interpreter."""

from functools import cache

import pytest
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def needs_triton() -> None:
    """Skip the test, or the module that calls this, where there is no Triton, or none that runs here."""
    pytest.importorskip("triton", reason="Triton is not installed: pip install '.[triton]' (Linux)")
    if reason := _trouble():
        pytest.skip(reason, allow_module_level=True)


@cache
def _trouble() -> str | None:
    """The interpreter of older releases converts arrays of one element to numbers, which NumPy 2.4 refuses."""
    from triton.runtime.errors import InterpreterError

    from sonant.layers.kernels.triton_attention import attend_triton

    try:
        attend_triton(*torch.ones(3, 1, 1, 16, device=DEVICE), [1])
    except InterpreterError as error:
        if "0-dimensional" in str(error):
            return "The interpreter of this Triton does not run with this NumPy: pip install 'triton>=3.9'"
        raise
    return None
