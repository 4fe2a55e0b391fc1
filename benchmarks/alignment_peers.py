"""Other aligners of emissions, each from its package, which must be installed.

- `torchaudio`: `forced_align`, the best path, and `merge_tokens`, the frames of each letter: what `units` of
  `alignment.py` is by another code. Its wheels need the libraries of CUDA from version 2.9 on.
- `ctc-segmentation`: `ctc_segmentation`, with words as its utterances.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

Spans = list[tuple[float, float]]
Peer = Callable[[np.ndarray, Sequence[Sequence[int]], int, int, float], Spans]


def by_torchaudio(
    emission: np.ndarray, words: Sequence[Sequence[int]], separator: int, blank: int, frame_rate: float
) -> Spans:
    """Return start and end of each word in seconds, from an emission (frames, tokens) and the tokens of words."""
    from torchaudio.functional import forced_align, merge_tokens

    tokens = torch.tensor([[token for word in words for token in (*word, separator)][:-1]], dtype=torch.int32)
    path, scores = forced_align(torch.from_numpy(emission)[None], tokens, blank=blank)
    merged, spans, first = merge_tokens(path[0], scores[0], blank=blank), [], 0
    for word in words:
        last = first + len(word) - 1
        spans.append((merged[first].start / frame_rate, merged[last].end / frame_rate))
        first = last + 2
    return spans


def by_segmentation(
    emission: np.ndarray,
    words: Sequence[Sequence[int]],
    separator: int,  # noqa: ARG001 - blanks stand between its utterances
    blank: int,
    frame_rate: float,
) -> Spans:
    """Return start and end of each word in seconds, as `by_torchaudio`."""
    from ctc_segmentation import (
        CtcSegmentationParameters,
        ctc_segmentation,
        determine_utterance_segments,
        prepare_token_list,
    )

    settings = CtcSegmentationParameters(char_list=list(map(str, range(emission.shape[1]))))
    settings.index_duration, settings.blank = 1 / frame_rate, blank
    matrix, begins = prepare_token_list(settings, [np.array(word) for word in words])
    timings, probabilities, _ = ctc_segmentation(settings, emission, matrix)
    found = determine_utterance_segments(settings, begins, probabilities, timings, list(map(str, words)))
    return [(start, end) for start, end, _ in found]


PEERS: Mapping[str, Peer] = {"torchaudio": by_torchaudio, "ctc-segmentation": by_segmentation}


def installed() -> dict[str, Peer]:
    """Return the peers that work here; say why of each other one."""
    found = {}
    emission = np.log(np.full((50, 3), 1 / 3, np.float32))
    for name, peer in PEERS.items():
        try:
            peer(emission, [[1], [2]], 1, 0, 50.0)
            found[name] = peer
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {error}")
    return found
