"""Checkpoints that are refused, and with which error."""

import collections
import os

import torch

from sonant.errors import CorruptedCheckpoint, UnknownCheckpoint, UnsafeCheckpoint
from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made


class _Calls:
    """Has a function called when it is unpickled."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _pickle(name, value):
    def make(folder):
        tiny.theirs().save_pretrained(folder)
        (folder / "model.safetensors").unlink()
        torch.save(value, folder / name)
        return Made(source=folder if name == "pytorch_model.bin" else folder / name)

    return make


def _cut(folder):
    tiny.theirs().save_pretrained(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return Made(source=folder)


def _without_weights(folder):
    tiny.theirs().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    return Made(source=folder)


CASES = (
    Case(
        layout="a pickle that calls a function of the system",
        make=_pickle("pytorch_model.bin", {"weight": _Calls(os.system, "true")}),
        refused=UnsafeCheckpoint,
        says=r"Nothing of it was run",
    ),
    Case(
        layout="a pickle that evaluates text",
        make=_pickle("model.pt", {"model": _Calls(eval, "1"), "cfg": {}}),
        refused=UnsafeCheckpoint,
        says=r"eval",
    ),
    Case(
        layout="a whole pickled module",
        make=_pickle("model.pt", torch.nn.Linear(2, 2)),
        refused=UnsafeCheckpoint,
        says=r"ask its author for the state dict",
    ),
    Case(
        layout="an empty dict",
        make=_pickle("model.pt", collections.OrderedDict()),
        refused=CorruptedCheckpoint,
        says="empty dict",
    ),
    Case(layout="safetensors cut short", make=_cut, refused=CorruptedCheckpoint, says="Download or copy it again"),
    Case(
        layout="a folder without weights",
        make=_without_weights,
        refused=UnknownCheckpoint,
        says="Fetch the weights as well",
    ),
)
