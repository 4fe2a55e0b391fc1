"""Corpora: manifests, decoded waveforms and frame labels on disk, and samplers of batches."""

from sonant.data.labels import LabelStore
from sonant.data.manifest import ManifestEntry, read_manifest
from sonant.data.sampler import SAMPLERS, BatchSampler, BucketSampler, Fill, LengthSampler, PackingSampler
from sonant.data.waveforms import WaveformStore

__all__ = [
    "SAMPLERS",
    "BatchSampler",
    "BucketSampler",
    "Fill",
    "LabelStore",
    "LengthSampler",
    "ManifestEntry",
    "PackingSampler",
    "WaveformStore",
    "read_manifest",
]
