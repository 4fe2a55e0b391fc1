"""Speaker embeddings of stretches of frames by an ECAPA-TDNN, whose layers see a whole stretch at once."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.speaker_clustering import Vectors
from sonant.extraction.finiteness import require_finite
from sonant.extraction.heads import one_clip
from sonant.inference.cuda.exact_float32 import exact_float32
from sonant.layers.packed import Packed, require_steps
from sonant.tasks import ECAPAHead

ECAPAOn = Callable[[torch.device], ECAPAHead]
MOST_FRAMES = 3_000  # a minute; longer stretches are divided
BATCH_FRAMES = 6_000


@torch.no_grad()
def embed_stretches(head: ECAPAHead, stretches: Iterable[NDArray[np.float32]], device: torch.device) -> Vectors:
    """Return the embeddings (stretches, dim) of mixed states (frames, dim) each, of one frame or more.

    The embedding of a stretch of more than `MOST_FRAMES` is the mean of those of its equal parts.
    """
    found: list[Vectors] = []
    owners: list[int] = []
    waiting: list[Tensor] = []

    def embed() -> None:
        if waiting:
            with exact_float32():
                vectors = head.embed(Packed.pack(waiting).to(device))
            found.append(require_finite(vectors.cpu(), "x-vector").double().numpy())
            waiting.clear()

    for number, frames in enumerate(stretches):
        whole = frames if len(frames) >= head.min_frames else np.repeat(frames, head.min_frames, axis=0)
        for part in np.array_split(whole, -(-len(whole) // MOST_FRAMES)):
            if waiting and sum(map(len, waiting)) + len(part) > BATCH_FRAMES:
                embed()
            waiting.append(torch.from_numpy(part))
            owners.append(number)
    embed()
    counts = np.bincount(owners)
    vectors = np.concatenate(found)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, owners, vectors)
    means: Vectors = sums / counts[:, None]
    return means


class ECAPAVectorSink:
    """A sink that computes the embedding of a whole recording, float32 (dim,); it keeps all mixed states."""

    def __init__(self, head_on: ECAPAOn) -> None:
        self._head_on = head_on
        self._frames: list[NDArray[np.float32]] = []
        self._device = torch.device("cpu")

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        self._device = frames.device
        self._frames.append(self._head_on(frames.device).mix(one_clip(frames)).values.cpu().numpy())

    def finish(self) -> NDArray[np.float32]:
        head = self._head_on(self._device)
        require_steps([sum(map(len, self._frames))], head.min_frames, "the vector of a speaker")
        vectors = embed_stretches(head, [np.concatenate(self._frames)], self._device)
        return vectors[0].astype(np.float32)

    def abandon(self) -> None:
        self._frames.clear()
