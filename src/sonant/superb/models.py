"""Models of an evaluation: those that are named, and random weights to compare them with."""

import torch

from sonant.checkpoints import load_checkpoint, save_pretrained
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.models.families import build
from sonant.superb.settings import SuperbRun
from sonant.superb.trials import slug

RANDOM = "random:"


def model_source(run: SuperbRun, model: str) -> str:
    """Return what a model is loaded from; random weights are written into the folder of the evaluation first.

    Raises CheckpointError.
    """
    if not model.startswith(RANDOM):
        return model
    folder = run.folder / "models" / f"random-{slug(model.removeprefix(RANDOM))}-{run.seed}"
    if not folder.is_dir():
        config = load_checkpoint(model.removeprefix(RANDOM)).config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            save_pretrained(build(config), folder)
    return str(folder)


def num_layers_of(source: str) -> int:
    """Return the number of layers of a model. Raises CheckpointError."""
    return fresh_or_loaded(source, seed=0).config.num_layers
