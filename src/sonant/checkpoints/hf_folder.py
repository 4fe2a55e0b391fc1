"""Files of a folder of transformers: config.json, weights, preprocessor."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.files import read_json, read_tensors
from sonant.checkpoints.folder import CONFIG, PREPROCESSORS, WEIGHTS, index_of
from sonant.checkpoints.hf_config import plain_values
from sonant.checkpoints.parameter_names import grouped
from sonant.checkpoints.tokenizer_files import PIECES, VOCABULARY
from sonant.errors import CheckpointMismatch, CorruptedCheckpoint, UnknownCheckpoint


@dataclass(frozen=True, eq=False)
class HFFolder:
    """A folder of transformers, with replacements of some of its files.

    Attributes:
        path: the folder.
        source: name for messages.
        weights: tensors, in place of the usual files.
        config_json: settings, in place of config.json.
        beside: a folder whose preprocessor and tokenizer take precedence.
    """

    path: Path
    source: object
    weights: dict[str, Tensor] | None = None
    config_json: Mapping[str, Any] | None = None
    beside: Path | None = None

    def config(self) -> dict[str, Any]:
        """Read config.json."""
        return dict(self.config_json or read_json(self.path / CONFIG))

    def tensors(self) -> dict[str, Tensor]:
        """Read the weights."""
        return self.weights or read_weights(self.path, self.source)

    def preprocessor(self) -> tuple[dict[str, Any], str]:
        """Return the settings of the preprocessor and the name of their file; both empty if there is none."""
        folders = [folder for folder in (self.beside, self.path) if folder is not None]
        for path in (folder / name for folder in folders for name in PREPROCESSORS):
            if path.is_file():
                found = plain_values(read_json(path))
                inner = found.get("feature_extractor")
                found = plain_values(inner) if isinstance(inner, dict) else found
                found = {setting: value for setting, value in found.items() if value is not None}
                if "do_normalize" in found or "sampling_rate" in found:
                    return found, path.name
        return {}, ""

    @property
    def tokenizer(self) -> Path:
        """The folder with the files of the tokenizer."""
        beside = self.beside
        return beside if beside and any((beside / name).is_file() for name in (VOCABULARY, PIECES)) else self.path


def read_weights(folder: Path, source: object) -> dict[str, Tensor]:
    """Return the tensors of a folder, from one file or from shards."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return read_tensors(folder / name)
        if (folder / index_of(name)).is_file():
            return _read_shards(folder, index_of(name))
    names = sorted(entry.name for entry in folder.iterdir())
    others = [name for name in names if name.endswith((".h5", ".msgpack", ".ckpt.index", ".gguf", ".onnx"))]
    files = [name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt"))]
    cure = "Fetch the weights as well."
    shards = [name for name in files if re.search(r"-\d+-of-\d+\.", name)]
    if shards:
        whole = re.sub(r"-\d+-of-\d+\.", ".", shards[0])
        cure = f"Shards such as {shards[0]} need their index, {index_of(whole)}. Fetch that as well."
    elif files:
        cure = f"If {files[0]} has them, give that file itself: {folder / files[0]}."
    elif others:
        cure = f"{others[0]} is of another framework; fetch the weights for PyTorch."
    raise UnknownCheckpoint(
        f"{source} has a {CONFIG} but no weights: expected {' or '.join(WEIGHTS)}, whole or in shards. It holds "
        f"{', '.join(names[:12]) or 'nothing'}. {cure}"
    )


def shards_in(index: Path) -> list[str]:
    """Return the file names in a shard index; raise an error unless they are plain names."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CorruptedCheckpoint(f"{index} lists no shards (no weight_map). Fetch it again.")
    names = sorted({str(name).removeprefix("./") for name in table.values()})
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise CorruptedCheckpoint(
                f"{index} names the shard {name!r}, which is no file beside it. Shards lie in the folder of their "
                "index; correct the name there, or fetch both again."
            )
    return names


def _read_shards(folder: Path, index: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in shards_in(folder / index):
        if not (folder / name).is_file():
            raise CheckpointMismatch(f"{folder} lacks the shard {name}, which {index} lists. Fetch it as well.")
        state |= read_tensors(folder / name)
    absent = [name for name in read_json(folder / index)["weight_map"] if name not in state]
    if absent:
        raise CheckpointMismatch(
            f"{folder}: {index} lists {grouped(absent)}, and no shard has it. The index and the shards are of two "
            "models or two downloads; fetch them together."
        )
    return state
