"""A back-off n-gram language model that finds n-grams by hashes of their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sonant.decoding.ngrams.model import BackOffModel

# As int64, whose products are those of unsigned numbers modulo 2**64.
FACTOR = 8978948897894561157
CODE = 17894857484156487943 - (1 << 64)


class _Histories(NamedTuple):
    """The last words of hypotheses, each (n, order - 1); column k is of the last k + 1 words.

    Attributes:
        contexts: made of them; 0 where there are fewer words.
        first_words: of them.
    """

    contexts: Tensor
    first_words: Tensor


@dataclass(frozen=True, eq=False)
class HashedNgramModel(BackOffModel):
    """An n-gram model with back-off whose n-grams cannot be listed: KenLM's hash tables, whose keys are hashes.

    The hash of an n-gram is computed from its last word to its first, modulo 2**64:

        h(w) = w,    h(v w1 ... wk) = (FACTOR h(w1 ... wk)) xor (CODE (1 + v))

    N-grams are numbered by order, and within an order by ascending hash as int64; words are the first of them. With
    each n-gram all of its ends are there too, so that those of longer ends are looked up only where shorter ones were
    found. A context is an n-gram that is not of the highest order: its number + 1.

    What the words of a context are is not known before a text reaches it. Its first word and the context of the others
    are kept then, in `first_words` and `back_off_contexts`; searches at the same time write the same numbers.

    Attributes:
        starts: number of the first n-gram of each order, and of all n-grams.
        hashes: int64 (n-grams,).
        log_probabilities: float32 (n-grams,), natural logarithms.
        back_offs: float32 (contexts,), natural logarithms; -0.0 where no n-gram continues a context.
        first_words: int32 (contexts,).
        back_off_contexts: int32 (contexts,).
    """

    starts: tuple[int, ...]
    hashes: Tensor
    log_probabilities: Tensor
    back_offs: Tensor
    first_words: Tensor
    back_off_contexts: Tensor

    @property
    def order(self) -> int:
        """Length of the longest n-gram."""
        return len(self.starts) - 1

    @property
    def device(self) -> torch.device:
        return self.hashes.device

    @torch.inference_mode()
    def score(self, state: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        histories = self._histories(state)
        found = self._find(histories, words)
        lengths = (found >= 0).sum(1)  # of the longest n-grams that end with the words
        penalty = torch.zeros(state.shape, device=state.device)
        for length in reversed(range(1, self.order)):
            context = histories.contexts[:, length - 1]
            penalty = torch.where(lengths <= length, penalty + self.back_offs[context], penalty)
        longest = found.gather(1, lengths[:, None] - 1)[:, 0]
        self._remember(histories, found)
        return penalty + self.log_probabilities[longest], self._context(found)

    def _histories(self, state: Tensor) -> _Histories:
        chain = [state]  # from the longest context on
        for _ in range(self.order - 2):
            chain.append(self.back_off_contexts[chain[-1]].long())
        contexts = torch.stack(chain, 1)
        place = (contexts > 0).sum(1, keepdim=True) - 1 - torch.arange(self.order - 1, device=state.device)
        contexts = torch.where(place >= 0, contexts.gather(1, place.clamp(min=0)), 0)
        return _Histories(contexts, self.first_words[contexts].long())

    def _find(self, histories: _Histories, words: Tensor) -> Tensor:
        """Return the n-grams that end with the words, (n, order), shortest first; -1 where there is none."""
        found, hashes = [words], words
        for length in range(1, self.order):
            hashes = (hashes * FACTOR) ^ ((histories.first_words[:, length - 1] + 1) * CODE)
            first, end = self.starts[length : length + 2]
            place = first + torch.searchsorted(self.hashes[first:end], hashes).clamp_(max=end - first - 1)
            known = (histories.contexts[:, length - 1] > 0) & (found[-1] >= 0) & (self.hashes[place] == hashes)
            found.append(torch.where(known, place, -1))
        return torch.stack(found, 1)

    def _remember(self, histories: _Histories, found: Tensor) -> None:
        """Keep of what contexts consist that are reached."""
        reached = found[:, 1 : self.order - 1] + 1  # those of one word are known
        self.first_words[reached] = torch.where(reached > 0, histories.first_words[:, : self.order - 2], 0).int()
        self.back_off_contexts[reached] = torch.where(reached > 0, found[:, : self.order - 2] + 1, 0).int()

    def _context(self, found: Tensor) -> Tensor:
        """Return the longest context among n-grams that some n-gram continues, or that has a back-off weight."""
        contexts = found[:, : self.order - 1] + 1
        weights = self.back_offs[contexts]
        continued = (contexts > 0) & ~((weights == 0) & weights.signbit())
        lengths = torch.arange(1, self.order, device=found.device) * continued
        longest = lengths.argmax(1, keepdim=True)
        return torch.where(continued.any(1), contexts.gather(1, longest)[:, 0], 0)
