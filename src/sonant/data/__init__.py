"""Corpora: manifests, decoded waveforms and frame labels on disk, and the order of batches."""

from sonant.data.labels import LabelStore
from sonant.data.manifest import Recording, read_manifest
from sonant.data.sampler import BatchSampler
from sonant.data.waveforms import WaveformStore

__all__ = ["BatchSampler", "LabelStore", "Recording", "WaveformStore", "read_manifest"]
