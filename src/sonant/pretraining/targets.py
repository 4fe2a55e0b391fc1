"""Targets of masked prediction: clusters of MFCC or of a layer, random projections, or labels of files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonant.audio.mel import mfcc_with_deltas
from sonant.data import LabelStore, WaveformStore
from sonant.data.progress import with_progress
from sonant.data.settings import json_values, write_or_check_settings
from sonant.errors import ConfigurationError, ModelWarning, warn
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.identity import digest_of, fingerprint
from sonant.pretraining.file_targets import FileTargets
from sonant.pretraining.kmeans import CHUNK_ROWS, STATES, KMeans, Stream, fit_kmeans
from sonant.pretraining.random_projection_targets import RandomProjectionTargets
from sonant.pretraining.residual_kmeans import ResidualKMeans, fit_residual_kmeans


@dataclass(frozen=True, kw_only=True)
class MFCCTargets:
    """Clusters of 13 MFCC with first and second derivatives, as in HuBERT's first iteration.

    Attributes:
        subtract_mean: subtract the mean of each coefficient over the clip (cepstral mean normalization). HuBERT does
            not, but a group norm over the clip removes level and channel from the model's input.
    """

    num_clusters: int = 100
    subtract_mean: bool = False


@dataclass(frozen=True, kw_only=True)
class LayerTargets:
    """Clusters of a hidden state of the previous model: HuBERT's second iteration (layer 6), and Large (9).

    Attributes:
        codebook: file of cluster centers, as `kmeans.safetensors` of a stage, which then determine `num_clusters`; "":
            they are fitted on the recordings.
    """

    layer: int = 6
    num_clusters: int = 500
    codebook: str = ""


@dataclass(frozen=True, kw_only=True)
class ResidualLayerTargets:
    """Codes of a hidden state of the previous model by residual quantization: a label of each codebook for each frame.

    The first codebook clusters the state, each other one what those before it leave of it. They keep more of the
    teacher than one label does, and all are predicted, as in SPEAR (arXiv 2510.25955), whose codebooks are added up
    too, but are trained by gradient.

    Attributes:
        num_clusters: those of each codebook.
    """

    layer: int = 6
    num_clusters: int = 256
    num_codebooks: int = 4

    @property
    def num_labels(self) -> int:
        """Number of labels of all codebooks."""
        return self.num_codebooks * self.num_clusters


FIT_SHARE = 0.1
ComputedTargets = MFCCTargets | LayerTargets | ResidualLayerTargets | RandomProjectionTargets
Targets = ComputedTargets | FileTargets


def make_targets(
    waveforms: WaveformStore,
    targets: ComputedTargets,
    folder: str | Path,
    *,
    previous: Backbone | None = None,
    fit_share: float = FIT_SHARE,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> LabelStore:
    """Compute the label of every frame, 50 a second, or read them from a folder that has them.

    Clusters are saved as `kmeans.safetensors`, those of several codebooks as `codebooks.safetensors`. While they are
    fitted, features are in a float32 file in the folder.

    Args:
        previous: model for `LayerTargets`.
        fit_share: share of the recordings, drawn at random, on which clusters are fitted; at least 500 recordings.

    Raises:
        ConfigurationError: labels in the folder are of other targets, speech or model; there are too few frames; or the
            given codebook is of other states.
    """
    folder = Path(folder)
    given = given_codebook(targets, previous)
    made_of: dict[str, Any] = {
        "targets": json_values(targets),
        "speech": waveforms.fingerprint,
        "fit_share": fit_share,
        "seed": seed,
    }
    if isinstance(targets, LayerTargets | ResidualLayerTargets) and previous is not None:
        made_of["model"] = fingerprint(previous)
    if given is not None:
        made_of["codebook"] = digest_of((), {"centroids": given.centroids})
    is_there = (folder / "lengths.npy").exists()
    folder.mkdir(parents=True, exist_ok=True)
    write_or_check_settings(folder / "settings.json", made_of, has_results=is_there, may_differ=("targets.codebook",))
    if not is_there:
        everything = range(len(waveforms))
        if isinstance(targets, RandomProjectionTargets):
            labels = targets.labels(waveforms, with_progress(everything, "labels", unit="clip"), device)
        else:
            features = _features(waveforms, targets, previous, device)
            kmeans: KMeans | ResidualKMeans | None = given
            if kmeans is None:
                chosen = _drawn(len(waveforms), fit_share, seed)
                with _on_disk(features(with_progress(chosen, "features", unit="clip")), folder) as stream:
                    kmeans = _fitted(stream, targets, _account(targets, made_of), seed)
            kmeans.save(folder / kmeans.FILE, {"targets": str(targets)})
            labels = map(kmeans, features(with_progress(everything, "labels", unit="clip")))
        LabelStore.write(folder, (rows.cpu().numpy() for rows in labels), num_labels=targets.num_clusters)
    return LabelStore(folder)


def given_codebook(targets: ComputedTargets, previous: Backbone | None) -> KMeans | None:
    """Load the codebook that the targets name, and check that it is of their states."""
    if not isinstance(targets, LayerTargets) or not targets.codebook or previous is None:
        return None
    kmeans = KMeans.load(Path(targets.codebook).expanduser())
    kmeans.check_states(previous, targets.layer)
    if not kmeans.made_of:
        warn(
            f"{targets.codebook} does not say of which model and layer its cluster centers are. They must be of layer "
            f"{targets.layer} of the teacher, of the {STATES.partition(';')[0]}.",
            ModelWarning,
        )
    return kmeans


def _account(targets: ComputedTargets, made_of: Mapping[str, Any]) -> dict[str, str]:
    """Return the account of cluster centers of a layer."""
    if not isinstance(targets, LayerTargets | ResidualLayerTargets):
        return {}
    return {"model": made_of["model"], "layer": str(targets.layer), "states": STATES}


def _fitted(
    stream: Stream, targets: MFCCTargets | LayerTargets | ResidualLayerTargets, account: dict[str, str], seed: int
) -> KMeans | ResidualKMeans:
    """Fit the clusters or codebooks of the targets."""
    if isinstance(targets, ResidualLayerTargets):
        codebooks = fit_residual_kmeans(stream, targets.num_clusters, targets.num_codebooks, seed=seed)
        return replace(codebooks, made_of=account)
    return replace(fit_kmeans(stream, targets.num_clusters, seed=seed), made_of=account)


def fits_clusters(targets: Targets) -> bool:
    """Return True if clusters are fitted on the recordings of the run."""
    if isinstance(targets, LayerTargets):
        return not targets.codebook
    return isinstance(targets, MFCCTargets | ResidualLayerTargets)


def num_drawn(num_clips: int, share: float) -> int:
    """Return the number of recordings on which clusters are fitted."""
    return min(num_clips, max(round(share * num_clips), 500))


Features = Callable[[Iterable[int]], Iterator[Tensor]]


def _drawn(num_clips: int, share: float, seed: int) -> list[int]:
    """Draw recordings; return their numbers in order."""
    chosen = np.random.default_rng(seed).choice(num_clips, num_drawn(num_clips, share), replace=False)
    return np.sort(chosen).tolist()


@contextmanager
def _on_disk(features: Iterable[Tensor], folder: Path) -> Iterator[Callable[[], Iterator[Tensor]]]:
    """Write features (rows, dim) to a temporary file in the folder, and yield a function that reads it in chunks."""
    path = folder / "features.f32.part"
    try:
        with path.open("wb") as file:
            for rows in features:
                dim = rows.shape[1]
                file.write(rows.float().cpu().numpy().tobytes())

        def chunks() -> Iterator[Tensor]:
            with path.open("rb") as file:
                while len(chunk := np.fromfile(file, np.float32, CHUNK_ROWS * dim)):
                    yield torch.from_numpy(chunk.reshape(-1, dim))

        yield chunks
    finally:
        path.unlink(missing_ok=True)


def _features(
    waveforms: WaveformStore,
    targets: MFCCTargets | LayerTargets | ResidualLayerTargets,
    previous: Backbone | None,
    device: torch.device | str,
) -> Features:
    """Return a function from numbers of recordings to their features (frames, dim), 50 frames a second."""
    match targets:
        case MFCCTargets(subtract_mean=subtract_mean):

            def cepstral(numbers: Iterable[int]) -> Iterator[Tensor]:
                for number in numbers:
                    # Every second MFCC frame covers the samples of one frame of the backbone.
                    cepstra = mfcc_with_deltas(torch.from_numpy(waveforms[number]))[::2]
                    yield cepstra - cepstra.mean(0) if subtract_mean else cepstra

            return cepstral
        case LayerTargets(layer=layer) | ResidualLayerTargets(layer=layer):
            if previous is None:
                raise ConfigurationError("LayerTargets clusters a layer of the previous model, but none was given.")
            model = previous.to(device).eval()

            def hidden(numbers: Iterable[int]) -> Iterator[Tensor]:
                for number in numbers:
                    speech = Packed.pack([torch.from_numpy(waveforms[number]).to(device)])
                    with torch.inference_mode():
                        yield model(speech, layers=[layer]).hidden_states[layer].float()

            return hidden
