"""The precisions in which a model can be run."""

from typing import Literal, get_args

Precision = Literal["float32", "bfloat16", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
