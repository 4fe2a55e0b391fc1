"""Inert objects in place of those of classes that a checkpoint names and sonant does not want.

Configuration classes of fairseq, omegaconf and argparse, dictionaries, meters, enums, and what a trainer remembers.
"""

from collections.abc import Mapping
from typing import Any, NoReturn, Self

from torch import Tensor

from sonant.errors import UnsafeCheckpoint

# Classes of these packages hold configurations, dictionaries, meters and what a trainer remembers. They become
# stand-ins whatever their name.
INERT_PACKAGES = (
    *("accelerate", "addict", "argparse", "datetime", "deepspeed", "easydict", "enum", "espnet", "espnet2", "examples"),
    *("fairseq", "hydra", "lightning", "lightning_fabric", "lightning_utilities", "ml_collections", "munch", "nemo"),
    *("omegaconf", "peft", "pathlib", "pytorch_lightning", "s3prl", "speechbrain", "torchmetrics", "transformers"),
    *("typing", "yacs"),
)
INERT_MODULES = ("torch.nn.modules.loss", "torch.optim")  # settings of a training script; layers would be a program
# Further names that such files mention; they too become stand-ins.
INERT_NAMES = {
    *(
        ("builtins", name)
        for name in ("bool", "bytes", "complex", "dict", "float", "int", "list", "object", "str", "tuple")
    ),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("numpy", name) for name in ("dtype", "float16", "float32", "float64", "int32", "int64", "bool_", "ndarray")),
    ("collections", "Counter"),
    ("torch", "device"),
}
DEPTH = 64  # of nested configurations


def is_inert(module: str, name: str) -> bool:
    """Return whether a class of this name may become a stand-in."""
    packages = (*INERT_PACKAGES, *INERT_MODULES)
    return any(f"{module}.".startswith(f"{known}.") for known in packages) or (module, name) in INERT_NAMES


class StandIn:
    """An object of a class that we do not want: its arguments, its state and its items, and nothing that runs.

    Attributes:
        name: "module.Class" of the original.
        args: the arguments that it was made with.
        state: the state that the pickle set on it, usually a dict of its attributes.
        items: the items that the pickle put into it, where it is a dict or a list.
    """

    name = "?"

    def __new__(cls, *args: Any, **_: Any) -> Self:
        made = super().__new__(cls)
        made.args = args
        made.state = None
        made.items = []
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any
        self.items: list[Any]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsafeCheckpoint(f"it calls an object of type {self.name}")

    def __repr__(self) -> str:
        return f"<stand-in for {self.name}>"


def plain(value: Any, *, depth: int = 0) -> Any:
    """A configuration as dicts, lists, strings and numbers, whichever classes it was pickled with."""
    if depth > DEPTH:
        raise UnsafeCheckpoint(f"The configuration is nested more than {DEPTH} deep; no training tool writes that.")
    if isinstance(value, Mapping):
        return {plain(key, depth=depth + 1): plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth=depth + 1) for item in value]
    if isinstance(value, Tensor):
        return f"<a tensor of shape {tuple(value.shape)}>"
    if not isinstance(value, StandIn):
        return value
    state = value.state
    if isinstance(state, tuple) and len(state) == 2:  # (attributes, slots), as pickle has it
        state = {**(state[0] or {}), **(state[1] or {})}
    if isinstance(state, dict):
        for content in ("_content", "_val"):  # omegaconf's containers and leaves
            if content in state:
                return plain(state[content], depth=depth + 1)
        return plain(state, depth=depth + 1)
    if value.items:
        pairs = all(isinstance(item, tuple) and len(item) == 2 for item in value.items)
        return plain(dict(value.items) if pairs else value.items, depth=depth + 1)
    return plain(value.args[0], depth=depth + 1) if len(value.args) == 1 else repr(value)  # an enum is its value
