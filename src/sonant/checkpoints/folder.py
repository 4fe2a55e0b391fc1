"""The folder of a model: the names of its files, and how a model saved into one replaces the model that is there."""

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
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference; each may be cut into shards
ADAPTER_CONFIG = "adapter_config.json"  # of peft
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # of peft, in the order of preference
EXTRA_HEADS = "sonant_heads.safetensors"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
EXCHANGE = ".saving-"  # begins the name of the hidden folder in which a model is written

ADAPTER = re.compile(r"adapter\.(?P<language>.+)\.(safetensors|bin)")  # of one language
_ALL_WEIGHTS = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
_SAYS = ("model_type", "family", "architectures", "vocab_size")  # in config.json: the architecture, and a head's size


def index_of(weights: str) -> str:
    """The name of the table of shards that stands in for a file of weights."""
    return f"{weights}.index.json"


@contextmanager
def replacing_model(folder: Path) -> Iterator[Path]:
    """A folder to write the files of a model into, which then take the place of those of the model in `folder`.

    All files are written before one is exchanged: an error, or the end of the process, leaves the old model until
    then. The exchange consists of renames within one file system. It takes config.json away first, without which no
    folder is loaded, and puts the new one there last; an error puts the old files back. So a process that is killed
    in the midst of the exchange leaves a folder that is refused, never files of two models; the old files then lie in
    the hidden folder that the message names.

    Files of weights, heads and adapters by language that the new model does not have go with the old one, and so do
    files of the tokenizer where the new model brings its own. Other files stay. A ModelWarning names files of a
    tokenizer or preprocessor that stay although the folder held a model of another architecture or head size.
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
    """Move the files that are replaced into `before`, and those of `after` to their place."""
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
    """Return whether a file belongs to the old model alone."""
    if name in TOKENIZER_FILES:
        return not set(TOKENIZER_FILES).isdisjoint(new)
    return name == EXTRA_HEADS or _ALL_WEIGHTS.fullmatch(name) is not None or ADAPTER.fullmatch(name) is not None


def _doubtful(folder: Path, after: Path) -> list[str]:
    """The files of a tokenizer or preprocessor that stay, if they were those of another model."""
    there, here = _told(folder), _told(after)
    if all(there[name] == here[name] for name in there.keys() & here.keys()):
        return []
    new = _config_last(after)
    names = [name for name in (*PREPROCESSORS, *TOKENIZER_FILES, *OTHERS) if (folder / name).exists()]
    return [name for name in names if name not in new and not _goes(name, new)]


def _told(folder: Path) -> dict[str, Any]:
    """Return what config.json says of the architecture and the size of a head."""
    with suppress(OSError, CorruptedCheckpoint):
        return {name: value for name, value in read_json(folder / CONFIG).items() if name in _SAYS}
    return {}
