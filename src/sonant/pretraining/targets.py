"""The targets of masked prediction: clusters of MFCC or of a layer of the previous model, or random projections."""

from collections.abc import Callable, Iterable, Iterator
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
from sonant.pretraining.kmeans import CHUNK_ROWS, KMeans, fit_kmeans
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

    Clusters are fitted on a share of the recordings and kept in `kmeans.safetensors`. The labels are made only once: a
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
            kmeans = _fit(features, len(waveforms), targets.num_clusters, fit_share=fit_share, seed=seed)
            kmeans.save(folder / "kmeans.safetensors", {"targets": str(targets)})
            labels = map(kmeans, features(tqdm(everything, "labels", unit="clip", disable=None)))
        LabelStore.write(folder, (rows.cpu().numpy() for rows in labels), num_labels=targets.num_clusters)
    return LabelStore(folder)


Features = Callable[[Iterable[int]], Iterator[Tensor]]


def _fit(features: Features, num_clips: int, num_clusters: int, *, fit_share: float, seed: int) -> KMeans:
    """Clusters of the features of some of the recordings."""
    rng = np.random.default_rng(seed)
    count = min(num_clips, max(round(fit_share * num_clips), 500))
    chosen = np.sort(rng.choice(num_clips, count, replace=False)).tolist()
    fitted = torch.cat([rows.cpu() for rows in features(tqdm(chosen, "features", unit="clip", disable=None))])
    return fit_kmeans(lambda: fitted.split(CHUNK_ROWS), num_clusters, seed=seed)


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
