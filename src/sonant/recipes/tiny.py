"""Settings that the small recipes share: batches and steps that one or two CPU cores can afford."""

from sonant.pretraining import Batching
from sonant.training import Linear, Schedule, Training

BATCHING = Batching(batch_seconds=16.0, max_seconds=6.0, min_seconds=1.0, fill="shortest")


def training(steps: int, *, schedule: Schedule | None = None, save_every: int = 500) -> Training:
    """A gentle peak rate and tight clipping, in bfloat16; the schedule is linear unless given."""
    return Training(
        steps=steps,
        lr=1e-3,
        schedule=schedule or Linear(warmup=0.08),
        clip_norm=1.0,
        precision="bfloat16",
        log_every=50,
        save_every=save_every,
    )
