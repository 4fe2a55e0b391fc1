"""A corpus of two-word recordings, models with random weights, and settings by which self-training takes seconds."""

import json
from pathlib import Path
from typing import Any

from sonant.models import W2vBERT2Config, WavLMConfig
from tests.shapes import BLOCKS, TINY
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

SHORT: dict[str, Any] = {
    "batching": {"batch_seconds": 8, "max_seconds": 4},
    "training": {"steps": 2, "validate_every": 2, "save_every": 1, "lr": 1e-5},  # the random head goes on writing
}
DECODER = {"dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 32}


def write_corpus(folder: Path) -> None:
    """Write sets of recordings, a manifest of all but those of test as unlabeled ones, and two models."""
    for seed, (name, number) in enumerate({"train": 8, "more": 8, "dev": 3, "test": 3}.items()):
        write_words(folder / name, number, seed=seed)
    both = [
        json.dumps(json.loads(line) | {"path": str(folder / part / json.loads(line)["path"])})
        for part in ("more", "train", "dev")
        for line in (folder / part / "manifest.jsonl").read_text().splitlines()
    ]
    (folder / "unlabeled.jsonl").write_text("\n".join(both) + "\n")
    write_model(folder / "model", WavLMConfig(**TINY))
    write_model(folder / "mel", W2vBERT2Config(**BLOCKS, conv_kernel=5))


def settings(corpus: Path, output: Path) -> dict[str, Any]:
    """Return the settings of a run of all stages."""
    return {
        "model": str(corpus / "model"),
        "data": str(corpus / "train"),
        "unlabeled": str(corpus / "unlabeled.jsonl"),
        "dev": str(corpus / "dev"),
        "test": str(corpus / "test"),
        "output": str(output),
        "trackers": [],
        "trials": 2,
        "train_transformer_lm": True,
        "fine_tuning": SHORT,
        "ctc": SHORT,
        "seq2seq": {**SHORT, "model": str(corpus / "mel"), "task": {"num_subwords": 12, "decoder": DECODER}},
        "text_training": {
            "units": "characters",
            "model": {**DECODER, "max_positions": 64},
            "training": {"steps": 2, "validate_every": 2, "save_every": 1},
        },
        "decoder": {"beam": 4, "n_best": 3, "beam_tokens": 4},
    }
