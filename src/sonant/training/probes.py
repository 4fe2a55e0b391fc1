"""Probes of a model during training: what its frozen states know of words and voices."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from sonant.audio import blocks
from sonant.data import LabelNeeds, ManifestEntry, check_labels, read_manifest
from sonant.errors import AudioError, ConfigurationError, ManifestError, MeasurementError
from sonant.evaluation.probes import cross_validate, folds_of
from sonant.evaluation.vectors import Standardizer, speaker_eer
from sonant.extraction.engine import Engine, collect
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.models import Backbone, BackboneConfig
from sonant.models.families import Task, presets


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """Settings of the probes of a run; without a manifest there are none.

    Attributes:
        labels: manifest of recordings with a `label` each, such as the keyword, and if possible a `speaker`: a linear
            probe learns the labels from some speakers, and is tested on others.
        speakers: manifest of recordings with a `speaker` each, for the equal error rate over all pairs.
        every: steps from one probe to the next.
        layer: hidden state; None: that of `content` for labels, and that of `speaker` for speakers, as in embedding.
        max_seconds: from the start of each recording.
    """

    labels: str = ""
    speakers: str = ""
    every: int = 1000
    layer: int | None = None
    max_seconds: float = 4.0

    @property
    def are_wanted(self) -> bool:
        return bool(self.labels or self.speakers)

    def layer_for(self, task: Task, model: BackboneConfig) -> int:
        """Return the hidden state that is probed."""
        return presets(model)[task].layer if self.layer is None else self.layer

    def check(self, model: BackboneConfig) -> None:
        """Raise ConfigurationError if the model lacks the layer."""
        if self.layer is not None and not 0 <= self.layer <= model.num_layers:
            raise ConfigurationError(f"probes.layer={self.layer} was given; the model has 0 to {model.num_layers}.")


@dataclass(frozen=True, eq=False)
class ProbeClips:
    """Recordings with what is to be told from them; `speakers` are None where not all are known."""

    waveforms: list[np.ndarray]
    labels: list[str] | None
    speakers: list[str] | None

    @classmethod
    def read(cls, manifest: str, *, field: str, sampling_rate: int, max_seconds: float) -> "ProbeClips":
        """Read the recordings of a manifest, whose rows must have the field.

        Raises:
            ManifestError: a row lacks the field, or a recording cannot be read.
        """
        begin = partial(_beginning, sampling_rate=sampling_rate, num_samples=round(max_seconds * sampling_rate))
        try:
            recordings = check_labels(read_manifest(manifest), needs=LabelNeeds(column=field)).train
            with ThreadPoolExecutor() as pool:
                waveforms = list(pool.map(begin, recordings))
        except (AudioError, ManifestError) as error:
            raise ManifestError(f"The probe {manifest} cannot be used. {error}") from error
        named = {
            name: [str(recording.fields.get(name) or "") for recording in recordings] for name in ("label", "speaker")
        }
        return cls(waveforms, *(values if all(values) else None for values in named.values()))


def _beginning(recording: ManifestEntry, *, sampling_rate: int, num_samples: int) -> np.ndarray:
    """Read the first samples of a recording."""
    read: list[np.ndarray] = []
    for block in blocks(recording.audio, sampling_rate=sampling_rate, **recording.part):
        read.append(block)
        if sum(map(len, read)) >= num_samples:
            break
    return np.concatenate(read)[:num_samples].copy()


class Probes:
    """Probes of a model, once their recordings are read."""

    def __init__(self, settings: ProbeSettings) -> None:
        self.settings = settings
        self._label_clips: ProbeClips | None = None
        self._speaker_clips: ProbeClips | None = None

    def read(self, sampling_rate: int) -> None:
        """Read the recordings.

        Raises:
            ManifestError: a manifest cannot be used.
            MeasurementError: it has too few speakers, or recordings of a label.
        """
        settings = self.settings
        how: dict[str, Any] = {"sampling_rate": sampling_rate, "max_seconds": settings.max_seconds}
        self._label_clips = ProbeClips.read(settings.labels, field="label", **how) if settings.labels else None
        self._speaker_clips = ProbeClips.read(settings.speakers, field="speaker", **how) if settings.speakers else None
        if self._label_clips is not None:
            assert self._label_clips.labels is not None
            self._folds = folds_of(self._label_clips.labels, self._label_clips.speakers)
        if self._speaker_clips is not None:
            assert self._speaker_clips.speakers is not None
            known = set(self._speaker_clips.speakers)
            if not 1 < len(known) < len(self._speaker_clips.speakers):
                raise MeasurementError(
                    f"{settings.speakers} lists {len(self._speaker_clips.speakers)} recordings of {len(known)} "
                    "speakers; expected several speakers, and several recordings of one at least."
                )

    def __call__(self, backbone: Backbone) -> dict[str, float]:
        """Return the measures; neither the model nor random numbers are changed."""
        was_training = backbone.training
        devices = [backbone.device] if backbone.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            backbone.eval()
            try:
                return self._measures(backbone)
            finally:
                backbone.train(was_training)

    def _measures(self, backbone: Backbone) -> dict[str, float]:
        measures = {}
        if (clips := self._label_clips) is not None and clips.labels is not None:
            for pool, vectors in self._vectors(backbone, clips, "content").items():
                measures[f"probe_label_accuracy_{pool}"] = cross_validate(vectors, clips.labels, self._folds)
        if (clips := self._speaker_clips) is not None and clips.speakers is not None:
            for pool, vectors in self._vectors(backbone, clips, "speaker").items():
                # A common mean moves all cosines towards 1.
                centered = Standardizer.fit(vectors, scale=False)
                measures[f"probe_speaker_eer_{pool}"] = speaker_eer(vectors, clips.speakers, standardizer=centered)
        return measures

    def _vectors(self, backbone: Backbone, clips: ProbeClips, task: Task) -> dict[str, np.ndarray]:
        """Return the vectors of clips (clips, dim) by pooling."""
        layer = self.settings.layer_for(task, backbone.config)
        sources = [
            AudioSource(waveform, backbone.sampling_rate, min_samples=backbone.receptive_field)
            for waveform in clips.waveforms
        ]
        pooled, _ = collect(Engine([backbone]), sources, EncodeRequest(layers=(layer,), pool="mean+std"))
        vectors = torch.stack(pooled).flatten(1).numpy()
        return {"mean": vectors[:, : backbone.dim], "mean_std": vectors}
