"""Inert stand-ins for objects of a checkpoint's classes that sonant does not import.

These are configurations of fairseq, omegaconf and argparse, dictionaries, meters, enums and states of trainers.
"""

from collections.abc import Hashable, Mapping
from typing import Any, NoReturn, Self

from torch import Tensor

from sonant.errors import UnsafeCheckpoint

# Packages all of whose classes become stand-ins.
INERT_PACKAGES = (
    *("accelerate", "addict", "argparse", "datetime", "deepspeed", "easydict", "enum", "espnet", "espnet2", "examples"),
    *("fairseq", "hydra", "lightning", "lightning_fabric", "lightning_utilities", "ml_collections", "munch", "nemo"),
    *("omegaconf", "peft", "pathlib", "pytorch_lightning", "s3prl", "speechbrain", "torchmetrics", "transformers"),
    *("typing", "yacs"),
)
INERT_MODULES = ("torch.nn.modules.loss", "torch.optim")  # settings of training; other modules would be code
# Further names in such files that become stand-ins.
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
    """A record of an object's class name, arguments, state and items, without its code.

    Attributes:
        name: "module.Class" of the original.
        args: arguments of the constructor.
        state: the pickled state, usually a dict of attributes.
        items: items of a dict or list.
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


def plain(value: Any) -> Any:
    """Convert a configuration of any pickled classes to dicts, lists, strings and numbers."""
    return _plain(value, 0, {})


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Convert a part of a configuration; `done`: converted containers by id; nested lists may repeat one 2^40 times."""
    if depth > DEPTH:
        raise UnsafeCheckpoint(f"The configuration is nested more than {DEPTH} deep; no training tool writes that.")
    if isinstance(value, Tensor):
        return f"<a tensor of shape {tuple(value.shape)}>"
    if not isinstance(value, Mapping | list | tuple | set | frozenset | StandIn):
        return value
    if id(value) not in done:
        content = _content(value) if isinstance(value, StandIn) else value
        if isinstance(content, Mapping):
            pairs = [(_plain(key, depth + 1, done), _plain(item, depth + 1, done)) for key, item in content.items()]
            done[id(value)] = {key if isinstance(key, Hashable) else repr(key): item for key, item in pairs}
        elif isinstance(content, list | tuple | set | frozenset):
            done[id(value)] = [_plain(item, depth + 1, done) for item in content]
        else:
            done[id(value)] = _plain(content, depth + 1, done)
    return done[id(value)]


def _content(value: StandIn) -> Any:
    """The attributes, items or value that an object was pickled with."""
    state = value.state
    if isinstance(state, tuple) and len(state) == 2 and all(isinstance(part, dict | None) for part in state):
        state = {**(state[0] or {}), **(state[1] or {})}  # (attributes, slots), as pickle has it
    if isinstance(state, dict):
        for content in ("_content", "_val"):  # omegaconf's containers and leaves
            if content in state:
                return state[content]
        return state
    if value.items:
        pairs = all(
            isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Hashable) for item in value.items
        )
        return dict(value.items) if pairs else value.items
    return value.args[0] if len(value.args) == 1 else repr(value)  # an enum is its value
