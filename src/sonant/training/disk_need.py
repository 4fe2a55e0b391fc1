"""Disk space of a pretraining run."""

import shutil

import numpy as np
import torch
from numpy.typing import NDArray

from sonant.checkpoints.checkpoint import meta_backbone
from sonant.models import Backbone
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.targets import FIT_SHARE, LayerTargets, ResidualLayerTargets, fits_clusters, num_drawn
from sonant.training.runs import PretrainingRun

MFCC_DIM = 39


def disk_need(run: PretrainingRun, samples: NDArray[np.int64], extra: int, previous: Backbone | None) -> dict[str, int]:
    """Return the bytes that a run writes, by purpose: what stays, and the largest of the files that are deleted again.

    Args:
        samples: length of each recording.
        extra: samples of noises and impulse responses in all.
        previous: model that gives the targets of the first stage; None for one like the run's.
    """
    total = int(samples.sum())
    frames = total // run.model.stride
    labels = features = parameters = 0
    for stage in run.stages:
        with torch.device("meta"):
            objective = stage.setup.build(meta_backbone(run.model), stage.objective)
        parameters += sum(each.numel() for each in objective.parameters())
        if not stage.setup.runs_extractor:
            labels += 4 * frames  # codes
        if isinstance(stage.objective, MaskedPredictionConfig):
            targets = stage.objective.targets
            labels += frames * (2 if targets.num_clusters <= 1 << 16 else 4)
            if fits_clusters(targets):
                before = run.model if previous is None or stage is not run.stages[0] else previous.config
                width = before.dim if isinstance(targets, LayerTargets | ResidualLayerTargets) else MFCC_DIM
                fitted = frames * num_drawn(len(samples), FIT_SHARE) // len(samples)
                features = max(features, 4 * fitted * width)
    kept = 4 * (3 + 1 + (1 if run.held_out_share else 0))  # state with two moments, model, best weights; float32
    return {
        "speech": 2 * total,
        "noises and impulse responses": 4 * extra,
        "labels": labels,
        "features, while clusters are fitted": features,
        "states and models": kept * parameters + 12 * parameters // len(run.stages),  # one state more while it is saved
    }


def disk_free(run: PretrainingRun) -> int:
    """Return the free bytes where a run writes, with those of what it has written already."""
    folder = run.folder
    written = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else 0
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free + written
