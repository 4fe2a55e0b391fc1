"""The folder of a model: names of files, and replacement of a saved model by another."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sonant.checkpoints.files import read_json
from sonant.checkpoints.tokenizer_files import OTHERS, TOKENIZER_FILES
from sonant.errors import CorruptedCheckpoint, ModelWarning, warn

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference; each may be sharded
ADAPTER_CONFIG = "adapter_config.json"  # of peft
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # of peft, in the order of preference
EXTRA_HEADS = "sonant_heads.safetensors"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
EXCHANGE = ".saving-"  # prefix of the hidden folder for writing

ADAPTER = re.compile(r"adapter\.(?P<language>.+)\.(safetensors|bin)")  # of one language
_ALL_WEIGHTS = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
_SAYS = ("model_type", "family", "architectures", "vocab_size")  # fields of config.json: architecture, size of a head


def index_of(weights: str) -> str:
    """Return the name of the shard index of a file of weights."""
    return f"{weights}.index.json"


@contextmanager
def replacing_model(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder for the files of a model, which afterwards replace those of the model in `folder`.

    All files are written before any is replaced, by renames. config.json, without which no folder loads, is removed
    first and replaced last; an error restores the old files. A kill during the renames thus leaves a folder that is
    refused, never files of two models; the error message names the hidden folder with the old files.

    Old files of weights, heads and adapters by language are removed, those of the tokenizer only if the new model has
    its own. Other files stay. A ModelWarning names files of a tokenizer or preprocessor that stay although the old
    model had another architecture or head size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=EXCHANGE, ignore_cleanup_errors=True) as name:
        after, before = Path(name, "after"), Path(name, "before")
        after.mkdir()
        before.mkdir()
        yield after
        doubtful = _doubtful(folder, after)
        _exchange(folder, after, before)
    if doubtful:
        warn(
            f"{folder} held another model, of which {', '.join(doubtful)} stayed, as the model saved there has no such "
            "files of its own. Remove them if they do not belong to it.",
            ModelWarning,
        )


def _exchange(folder: Path, after: Path, before: Path) -> None:
    """Move the old files into `before`, and those in `after` into `folder`."""
    new = _config_last(after)
    old = [path.name for path in folder.iterdir() if path.name in new or _goes(path.name, new)]
    try:
        for name in sorted(old, key=lambda name: name != CONFIG):
            (folder / name).rename(before / name)
        for name in new:
            (after / name).rename(folder / name)
    except BaseException:
        for name in new:
            if not (after / name).exists():
                (folder / name).unlink(missing_ok=True)
        for name in _config_last(before):
            (before / name).rename(folder / name)
        raise


def _config_last(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.iterdir()), key=lambda name: name == CONFIG)


def _goes(name: str, new: list[str]) -> bool:
    """Return whether a file of the old model is to be removed."""
    if name in TOKENIZER_FILES:
        return not set(TOKENIZER_FILES).isdisjoint(new)
    return name == EXTRA_HEADS or _ALL_WEIGHTS.fullmatch(name) is not None or ADAPTER.fullmatch(name) is not None


def _doubtful(folder: Path, after: Path) -> list[str]:
    """Return files of a tokenizer or preprocessor that stay although they belong to another model."""
    there, here = _told(folder), _told(after)
    if all(there[name] == here[name] for name in there.keys() & here.keys()):
        return []
    new = _config_last(after)
    names = [name for name in (*PREPROCESSORS, *TOKENIZER_FILES, *OTHERS) if (folder / name).exists()]
    return [name for name in names if name not in new and not _goes(name, new)]


def _told(folder: Path) -> dict[str, Any]:
    """Return the fields of config.json for the architecture and the size of a head."""
    with suppress(OSError, CorruptedCheckpoint):
        return {name: value for name, value in read_json(folder / CONFIG).items() if name in _SAYS}
    return {}
