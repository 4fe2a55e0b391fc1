"""Batches and training settings of the small recipes, for one or two CPU cores."""

from sonant.pretraining import Batching
from sonant.recipes.sources import SettingSource
from sonant.training import Linear, Schedule, Training

BATCHING = Batching(batch_seconds=16.0, max_seconds=6.0, min_seconds=1.0, fill="shortest")

OURS = SettingSource("ours", "for a short run on a CPU")
SOURCES = {"model": OURS, "stages": OURS}


def training(steps: int, *, schedule: Schedule | None = None, save_every: int = 500) -> Training:
    """Training in bfloat16 with a linear schedule, unless one is given."""
    return Training(
        steps=steps,
        lr=1e-3,
        schedule=schedule or Linear(warmup=0.08),
        clip_norm=1.0,
        precision="bfloat16",
        log_every=50,
        save_every=save_every,
    )
