"""Classification or regression of a whole recording from its frames, by a head."""

from collections.abc import Callable

import torch
from torch import Tensor

from sonant.checkpoints import Head
from sonant.decoding.class_scores import ClassLabels
from sonant.errors import ConfigurationError
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, one_clip, require, states_of
from sonant.extraction.pooling import RunningAttention, RunningPool
from sonant.models import Backbone
from sonant.models.abilities import HEADS_FOR
from sonant.tasks import PooledHead

LAST_LAYERS: dict[str, tuple[str, ...]] = {  # by the kind of head
    "sequence_classification": ("classifier",),
    "speech_classification": ("classifier.output",),
    "age_gender": ("age.output", "gender.output"),
}


class ClassificationSink:
    """A sink that pools the head's projection of the frames, in constant memory.

    Args:
        head_on: returns the head on a device.
        labels: of the head's outputs.
    """

    def __init__(self, head_on: Callable[[torch.device], PooledHead], labels: ClassLabels) -> None:
        self._head_on, self._labels = head_on, labels
        self._pooling = head_on(CPU).pooling
        self._pool = RunningPool("max" if self._pooling == "max" else "mean")
        self._attention = RunningAttention()
        self._frames = 0

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        head = self._head_on(frames.device)
        found = head.project(one_clip(frames)).values
        self._frames += len(found)
        if head.attention is None:
            self._pool.append(found[None])
        else:
            self._attention.append(found, head.attention(found))

    @torch.no_grad()
    def finish(self) -> dict[str, float]:
        head = self._head_on(CPU)
        pooled = self._pool.finish() if head.attention is None else self._attention.finish()[None]  # (1, width)
        if self._pooling == "sum":
            pooled = pooled * self._frames
        return self._labels.scores(require_finite(head.read(pooled)[0], "classification"))

    def abandon(self) -> None:
        pass


def classification(model: Backbone, heads: Heads, *, name: str) -> HeadPipeline[dict[str, float]]:
    """Return the pipeline of the head for whole recordings; its answer is a dict, see `SpeechEncoder.classify`.

    Raises:
        ConfigurationError: the model has no such head, or several.
        CheckpointError: the number of labels is not that of the head's outputs.
    """
    kind = _kind(heads, name)
    labels = _labels(kind, heads.stored[kind])  # checked before anything is computed
    head_on = heads.placing(kind, PooledHead)
    return HeadPipeline(
        states_of(head_on(CPU).mix, model, name), lambda _: ClassificationSink(head_on, labels), model.receptive_field
    )


def labels_of(heads: Heads, *, name: str) -> ClassLabels:
    """Return the labels of the head for whole recordings. Raises as `classification` does."""
    kind = _kind(heads, name)
    return _labels(kind, heads.stored[kind])


def _kind(heads: Heads, name: str) -> str:
    require("classification", heads, name)
    kind, *others = (kind for kind in HEADS_FOR["classification"] if kind in heads.stored)
    if others:
        raise ConfigurationError(
            f"{name} has several heads for whole recordings: {', '.join((kind, *others))}. Save it with one of them."
        )
    return kind


def _labels(kind: str, head: Head) -> ClassLabels:
    outputs = sum(len(head.tensors[f"{layer}.bias"]) for layer in LAST_LAYERS[kind])
    labels = head.metadata.get("labels")
    if kind == "age_gender":
        return ClassLabels.of_age_and_gender(outputs, labels or ())
    known = head.metadata
    return ClassLabels.of(
        outputs, labels, known.get("problem_type"), known.get("temperature", 1.0), known.get("groups")
    )
