"""Corpora: manifests, decoded waveforms and frame labels on disk, and samplers of batches."""

from sonant.data.entries import ManifestEntry
from sonant.data.label_needs import LabelNeeds, ctc_frames, plain_label
from sonant.data.label_problems import CheckedLabels, LabelProblem, check_labels
from sonant.data.labels import LabelStore
from sonant.data.manifest import read_manifest
from sonant.data.manifest_writer import MadeManifest, make_manifest, write_manifest
from sonant.data.sampler import SAMPLERS, BatchSampler, BucketSampler, Fill, LengthSampler, PackingSampler
from sonant.data.splits import CorpusSplit, split_entries
from sonant.data.waveforms import WaveformStore

__all__ = [
    "SAMPLERS",
    "BatchSampler",
    "BucketSampler",
    "CheckedLabels",
    "CorpusSplit",
    "Fill",
    "LabelNeeds",
    "LabelProblem",
    "LabelStore",
    "LengthSampler",
    "MadeManifest",
    "ManifestEntry",
    "PackingSampler",
    "WaveformStore",
    "check_labels",
    "ctc_frames",
    "make_manifest",
    "plain_label",
    "read_manifest",
    "split_entries",
    "write_manifest",
]
