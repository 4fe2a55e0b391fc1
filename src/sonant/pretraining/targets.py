"""The targets of masked prediction: clusters of MFCC or of a layer of the previous model, or random projections."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sonant.audio.mel import mfcc_with_deltas
from sonant.data import LabelStore, WaveformStore
from sonant.data.settings import plain, settle
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.identity import fingerprint
from sonant.pretraining.kmeans import CHUNK_ROWS, fit_kmeans
from sonant.pretraining.random_projection_targets import RandomProjectionTargets


@dataclass(frozen=True, kw_only=True)
class MFCCTargets:
    """Clusters of 39 MFCC and slopes: HuBERT's first iteration.

    Attributes:
        num_clusters: number of clusters.
        subtract_mean: take from each coefficient its mean over the clip (cepstral mean normalization). HuBERT did not;
            but levels and channels are hidden from a model whose group norm runs over the clip.
    """

    num_clusters: int = 100
    subtract_mean: bool = False


@dataclass(frozen=True, kw_only=True)
class LayerTargets:
    """Clusters of a hidden state of the previous model: the later iterations.

    Attributes:
        layer: number of the hidden state (HuBERT: 6 of Base for its second iteration, 9 for Large).
        num_clusters: number of clusters.
    """

    layer: int = 6
    num_clusters: int = 500


Targets = MFCCTargets | LayerTargets | RandomProjectionTargets


def make_targets(
    waveforms: WaveformStore,
    targets: Targets,
    folder: str | Path,
    *,
    previous: Backbone | None = None,
    fit_share: float = 0.1,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> LabelStore:
    """Label every frame of the backbone (50 a second), by clusters of features of the corpus or as the targets say.

    Clusters are fitted on a share of the recordings, whose features lie in the folder meanwhile (float32), and kept in
    `kmeans.safetensors`; nothing is held in memory whole. The labels are made only once: a
    folder that holds them is used as it is, if they are those of the same targets, speech and model (`settings.json`).

    Args:
        previous: the model whose layer `LayerTargets` clusters.
        fit_share: share of the recordings, drawn at random, on which the clusters are fitted.

    Raises:
        ConfigurationError: the folder holds labels of other targets, speech or another model; or too few frames.
    """
    folder = Path(folder)
    made_of = {"targets": plain(targets), "speech": waveforms.fingerprint, "fit_share": fit_share, "seed": seed}
    if isinstance(targets, LayerTargets) and previous is not None:
        made_of["model"] = fingerprint(previous)
    is_there = (folder / "lengths.npy").exists()
    folder.mkdir(parents=True, exist_ok=True)
    settle(folder / "settings.json", made_of, bound=is_there)
    if not is_there:
        everything = range(len(waveforms))
        if isinstance(targets, RandomProjectionTargets):
            labels = targets.labels(waveforms, tqdm(everything, "labels", unit="clip", disable=None), device)
        else:
            features = _features(waveforms, targets, previous, device)
            chosen = _drawn(len(waveforms), fit_share, seed)
            with _on_disk(features(tqdm(chosen, "features", unit="clip", disable=None)), folder) as stream:
                kmeans = fit_kmeans(stream, targets.num_clusters, seed=seed)
            kmeans.save(folder / "kmeans.safetensors", {"targets": str(targets)})
            labels = map(kmeans, features(tqdm(everything, "labels", unit="clip", disable=None)))
        LabelStore.write(folder, (rows.cpu().numpy() for rows in labels), num_labels=targets.num_clusters)
    return LabelStore(folder)


Features = Callable[[Iterable[int]], Iterator[Tensor]]


def _drawn(num_clips: int, share: float, seed: int) -> list[int]:
    """The numbers of some of the recordings."""
    count = min(num_clips, max(round(share * num_clips), 500))
    return np.sort(np.random.default_rng(seed).choice(num_clips, count, replace=False)).tolist()


@contextmanager
def _on_disk(features: Iterable[Tensor], folder: Path) -> Iterator[Callable[[], Iterator[Tensor]]]:
    """Write features (rows, dim) to a file in the folder, which is gone afterwards, and yield a function that reads it.

    Each call gives the rows anew, in chunks.
    """
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
    waveforms: WaveformStore, targets: MFCCTargets | LayerTargets, previous: Backbone | None, device: torch.device | str
) -> Features:
    """A function from numbers of recordings to their features (frames, dim), in that order, 50 frames a second."""
    match targets:
        case MFCCTargets(subtract_mean=subtract_mean):

            def cepstral(numbers: Iterable[int]) -> Iterator[Tensor]:
                for number in numbers:
                    # Every second MFCC frame sees the very samples that a frame of the backbone sees.
                    cepstra = mfcc_with_deltas(torch.from_numpy(waveforms[number]))[::2]
                    yield cepstra - cepstra.mean(0) if subtract_mean else cepstra

            return cepstral
        case LayerTargets(layer=layer):
            if previous is None:
                raise ConfigurationError("LayerTargets clusters a layer of the previous model, but none was given.")
            model = previous.to(device).eval()

            def hidden(numbers: Iterable[int]) -> Iterator[Tensor]:
                for number in numbers:
                    speech = Packed.pack([torch.from_numpy(waveforms[number]).to(device)])
                    with torch.inference_mode():
                        yield model(speech, layers=[layer]).hidden_states[layer].float()

            return hidden
