"""Masked-token prediction, the objective of a BERT on the codes of a vq-wav2vec."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sonant.data import LabelStore, WaveformStore
from sonant.data.files import atomic
from sonant.data.progress import with_progress
from sonant.data.settings import write_or_check_settings
from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models.code_vocabulary import codes_of_numbers, codes_of_symbols, group_numbers
from sonant.models.discrete_bert import DiscreteBERT
from sonant.models.identity import fingerprint
from sonant.models.vq_wav2vec import VQWav2Vec
from sonant.pretraining.batches import Batching, NumberedBatches, moved

DICTIONARY = "dict.txt"
COUNTED = 1 << 22  # labels counted at a time


@dataclass(frozen=True, kw_only=True)
class MaskedTokensConfig:
    """Settings; the defaults are the published ones.

    Attributes:
        masking: tokens to predict; by default each starts a span of 10 with probability 0.05, which masks 40 %.
        keep_probability: share of masked tokens left as they are in the input (fairseq's `leave_unmasked_prob`).
        random_probability: share replaced by a random token; the rest becomes the mask token.

    Source: vq-wav2vec (arXiv 1910.05453, section 5.3); fairseq `data/mask_tokens_dataset.py`.
    """

    masking: SpanMasking = SpanMasking(fraction=0.5, length=10, min_spans=1)
    keep_probability: float = 0.1
    random_probability: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.keep_probability, self.random_probability)
        if min(shares) < 0 or sum(shares) > 1:
            raise ConfigurationError(
                "keep_probability and random_probability are shares of the masked tokens, at most 1 in all; got "
                f"{shares}."
            )


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """A batch of tokens.

    Attributes:
        tokens: int64 (total,), input of the model, some of it masked or replaced.
        targets: int64 (total,), the true tokens.
        mask: bool (total,), True for the tokens to predict.
        stride: samples of audio for each token, for the reported throughput.
        masked: int64 indices of the tokens to predict.
    """

    tokens: Packed
    targets: Tensor
    mask: Tensor
    stride: int
    masked: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "masked", self.mask.nonzero().flatten())

    def to(self, device: torch.device | str) -> TokenBatch:
        return moved(self, device)

    @property
    def num_samples(self) -> int:
        return len(self.targets) * self.stride

    @property
    def clip_samples(self) -> list[int]:
        """Number of samples of each clip, by its tokens."""
        return [self.stride * tokens for tokens in self.tokens.sizes]


class TokenBatches(NumberedBatches):
    """Batches of tokens.

    Args:
        codes: of every recording, from `make_codes`.
        backbone: gives vocabulary, frame rate and number of positions.
        batching: its seconds are converted to tokens at the frame rate.
        recordings: numbers of the recordings to use; None for all.
        seed, rank, world: as in `NumberedBatches`.
    """

    def __init__(
        self,
        codes: LabelStore,
        backbone: DiscreteBERT,
        config: MaskedTokensConfig,
        *,
        batching: Batching,
        recordings: Sequence[int] | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        room = (backbone.config.max_positions - 2) / backbone.frame_rate  # two positions are for start and end tokens
        fitting = replace(batching, max_seconds=min(batching.max_seconds, room))
        sampler = fitting.sampler(codes.lengths, backbone.frame_rate, recordings=recordings, seed=seed)
        super().__init__(sampler, seed=seed, rank=rank, world=world)
        self.codes, self.config, self.stride = codes, config, backbone.stride
        self.vocabulary = copy.deepcopy(backbone.vocabulary).cpu()  # workers make batches on the CPU
        self.words = self.vocabulary.words.numpy()

    def __getitem__(self, step: int) -> TokenBatch:
        layout, rng = self.drawn(step)
        crops = []
        for member, length in layout:
            first = int(rng.integers(int(self.codes.lengths[member]) - length + 1))
            crops.append(self.codes[member][first : first + length].astype(np.int64))
        targets = self.vocabulary.tokens_of(torch.from_numpy(np.concatenate(crops)))
        mask = self.config.masking.draw_batch([length for _, length in layout], rng)
        seen = corrupt(targets.numpy(), mask, self.config, self.words, self.vocabulary.mask_token, rng)
        lengths = torch.tensor([length for _, length in layout])
        return TokenBatch(Packed(torch.from_numpy(seen), lengths), targets, torch.from_numpy(mask), self.stride)


def corrupt(
    tokens: NDArray[np.int64],
    mask: NDArray[np.bool_],
    config: MaskedTokensConfig,
    words: NDArray[np.int64],
    mask_token: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the model's input for tokens (total,): masked ones become the mask token, stay, or become random words."""
    drawn = rng.random(len(tokens))
    kept, replaced = config.keep_probability, config.keep_probability + config.random_probability
    seen = np.where(mask & (drawn >= replaced), mask_token, tokens)
    swapped = mask & (drawn >= kept) & (drawn < replaced)
    seen[swapped] = rng.choice(words, int(swapped.sum()))
    return seen


class MaskedTokens(Objective):
    """Cross-entropy of masked tokens over the vocabulary."""

    def __init__(self, backbone: DiscreteBERT) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: TokenBatch) -> Loss:
        """Return the loss, summed over the masked tokens."""
        output = self.backbone.encode_tokens(batch.tokens, layers=["last"]).last
        assert output is not None
        targets = batch.targets.index_select(0, batch.masked)
        logits = self.backbone.logits(output.index_select(0, batch.masked)).float()
        loss = F.cross_entropy(logits, targets, reduction="sum")
        correct = (logits.argmax(-1) == targets).sum()
        count = len(targets)
        return Loss(loss, count, {"masked_loss": (loss, count), "masked_accuracy": (correct, count)})


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of a corpus.

    Attributes:
        store: the codes of each frame as one number (`group_numbers`).
        words: int64 (words, num_codebooks), the combinations of codes that occur, the most frequent first.
    """

    store: LabelStore
    words: Tensor


def make_codes(
    waveforms: WaveformStore, tokenizer: VQWav2Vec, folder: str | Path, *, device: torch.device | str = "cpu"
) -> Codes:
    """Compute the codes of a corpus, or read them from a folder that has them.

    The folder holds labels, `dict.txt` (fairseq's format: a combination of codes and its count in each line) and
    `settings.json`. Raises ConfigurationError for a folder with codes of other speech or another tokenizer.
    """
    folder = Path(folder)
    num_codebooks, codebook_size = tokenizer.config.num_codebooks, tokenizer.config.codebook_size
    made_of = {"speech": waveforms.fingerprint, "tokenizer": fingerprint(tokenizer)}
    is_there = (folder / "lengths.npy").exists()
    folder.mkdir(parents=True, exist_ok=True)
    write_or_check_settings(folder / "settings.json", made_of, has_results=is_there)
    if not is_there:
        (folder / DICTIONARY).unlink(missing_ok=True)  # of other codes
        numbers = (
            group_numbers(codes, codebook_size).cpu().numpy()
            for codes in _codes_of(waveforms, tokenizer.to(device).eval())
        )
        LabelStore.write(folder, numbers, num_labels=codebook_size**num_codebooks)
    store = LabelStore(folder)
    if not (folder / DICTIONARY).exists():
        _write_dictionary(folder / DICTIONARY, store, codebook_size, num_codebooks)
    symbols = [line.split()[0] for line in (folder / DICTIONARY).read_text(encoding="utf-8").splitlines()]
    return Codes(store, codes_of_symbols(symbols, num_codebooks, codebook_size))


def _codes_of(waveforms: WaveformStore, tokenizer: VQWav2Vec) -> Iterator[Tensor]:
    """Codes of each recording, (frames, num_codebooks); 0 frames for one below the receptive field."""
    device = next(tokenizer.parameters()).device
    for number in with_progress(range(len(waveforms)), "codes", unit="clip"):
        clip = torch.from_numpy(waveforms[number])
        if tokenizer.num_frames(len(clip)) == 0:
            yield torch.zeros(0, tokenizer.config.num_codebooks, dtype=torch.int64)
            continue
        speech = Packed.pack([clip.to(device)])
        with torch.inference_mode():
            yield tokenizer.codes(speech).values


def _write_dictionary(path: Path, store: LabelStore, codebook_size: int, num_codebooks: int) -> None:
    found: Counter[int] = Counter()
    labels = store.all()
    for start in range(0, len(labels), COUNTED):
        some = np.unique(labels[start : start + COUNTED], return_counts=True)
        found.update(dict(zip(*(each.tolist() for each in some), strict=True)))
    numbers = np.array(sorted(found), dtype=np.int64)
    counts = np.array([found[number] for number in numbers.tolist()])
    order = np.argsort(-counts, kind="stable")
    codes = codes_of_numbers(torch.from_numpy(numbers[order].astype(np.int64)), codebook_size, num_codebooks).tolist()
    lines = [f"{'-'.join(map(str, row))} {count}\n" for row, count in zip(codes, counts[order].tolist(), strict=True)]
    with atomic(path) as draft:
        draft.write_text("".join(lines), encoding="utf-8")
