"""Transformer language models in beam searches: log-probabilities of words after histories that share a cache."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Self
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from sonant.data.text_normalization import Normalization, normalize_text
from sonant.data.text_tokenizers import UNKNOWN, ByteLevelTokenizer, TextTokenizer, UnitTokenizer
from sonant.decoding.ctc_vocabulary import DELIMITER
from sonant.decoding.key_value_store import KeyValueStore
from sonant.errors import ConfigurationError
from sonant.models.transformer_lm import TransformerLM

CACHED_BYTES = 1 << 28  # of keys and values that are gathered for a batch of histories
UNKNOWN_WORD = "<unk>"


class _History:
    """The tokens of a text so far, a node in the tree of all histories of a search.

    Attributes:
        parent: whose tokens come before the last one; it keeps their slots in use.
        tokens: those that the model still sees, with the begin.
        slots: of those tokens; the last one has none before it is read.
        owned: slots that are given back with this node.
        score: log-probability of the last token.
        is_start: whether no word has been scored.
        children: longer histories by token, as long as something else uses them.
    """

    __slots__ = ("__weakref__", "children", "is_start", "owned", "parent", "score", "slots", "store", "tokens")

    def __init__(self, store: KeyValueStore, parent: _History | None, token: int, score: float) -> None:
        self.store, self.parent, self.score, self.is_start = store, parent, score, parent is None
        self.tokens: tuple[int, ...] = (token,) if parent is None else (*parent.tokens, token)
        self.slots: tuple[int, ...] = () if parent is None else parent.slots
        self.owned: list[int] = []
        self.children: dict[int, ReferenceType[_History]] = {}

    def __del__(self) -> None:
        self.store.free += self.owned


class TransformerState:
    """The histories of n hypotheses."""

    def __init__(self, histories: Sequence[_History]) -> None:
        self.histories = histories

    def __len__(self) -> int:
        return len(self.histories)

    def __getitem__(self, rows: Tensor) -> TransformerState:
        return TransformerState([self.histories[row] for row in rows.tolist()])

    def append(self, more: TransformerState) -> TransformerState:
        """Return the histories of both."""
        return TransformerState([*self.histories, *more.histories])


class TransformerLanguageModel:
    """The protocol `LanguageModel` over a Transformer; equal histories are computed once.

    A history that is longer than the positions of the model is seen in windows, as `TransformerLM.log_probabilities`
    does, whose scores these are.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        normalization: of the text that the model was trained on; words are scored in this form.
        words: which can be scored; None: all words or characters of a model of those, where the space is "|", as in the
            vocabularies of CTC. A model of subwords has no list of words: those of a lexicon are meant.
    """

    def __init__(
        self,
        model: TransformerLM,
        tokenizer: TextTokenizer,
        *,
        normalization: Normalization = "none",
        words: Iterable[str] | None = None,
    ) -> None:
        self.model, self._tokenizer, self._normalization = model, tokenizer, normalization
        self._spellings: dict[tuple[int, bool], list[int]] = {}
        if words is not None:
            self.words: Sequence[str] = (UNKNOWN_WORD, *dict.fromkeys(words))
            no_unknown = isinstance(tokenizer, ByteLevelTokenizer)
            self.unknown = 0
            unknown = [model.config.end if no_unknown else UNKNOWN]
            self._spellings = {(0, False): unknown, (0, True): unknown}
        elif isinstance(tokenizer, UnitTokenizer):
            self.words = tuple(DELIMITER if unit == " " else unit for unit in tokenizer.units)
            self.unknown = UNKNOWN
            self._spellings = {(number, first): [number] for number in range(len(tokenizer)) for first in (False, True)}
        else:
            raise ConfigurationError(
                "A language model of subwords can score any word, so that a search needs a list of those that it may "
                "find. Give a lexicon; or score the best hypotheses of a search with another model again (rescoring)."
            )

    @property
    def device(self) -> torch.device:
        return self.model.embedding.weight.device

    def to(self, device: torch.device | str) -> Self:
        """Return this model on a device."""
        if torch.device(device) == self.device:
            return self
        moved = copy.copy(self)
        moved.model = copy.deepcopy(self.model).to(device)
        return moved

    def named(self, words: Sequence[str]) -> Self:
        """Return this model with other names of its words, by number."""
        other = copy.copy(self)
        other.words = words
        return other

    def start(self, count: int) -> TransformerState:
        """Return the state of `count` hypotheses at the beginning of a text, which share a cache from now on."""
        return TransformerState([_History(KeyValueStore(self.model), None, self.model.config.begin, 0.0)] * count)

    @torch.no_grad()
    def score(self, state: TransformerState, words: Tensor) -> tuple[Tensor, TransformerState]:
        """Return the log-probability of each hypothesis' next word, (n,), and the state after it."""
        histories, scores = list(state.histories), [0.0] * len(state)
        spelled = [
            self._spelling(word, first=history.is_start)
            for word, history in zip(words.tolist(), histories, strict=True)
        ]
        for place in range(max(map(len, spelled), default=0)):
            rows = [row for row, tokens in enumerate(spelled) if place < len(tokens)]
            after = self._following([histories[row] for row in rows], [spelled[row][place] for row in rows])
            for row, history in zip(rows, after, strict=True):
                histories[row] = history
                scores[row] += history.score
        return torch.tensor(scores, device=self.device), TransformerState(histories)

    @torch.no_grad()
    def finish(self, state: TransformerState) -> Tensor:
        """Return the log-probability that each text ends here, (n,)."""
        if not len(state):
            return torch.zeros(0, device=self.device)
        self._read(state.histories)
        last = [history.slots[-1] for history in state.histories]
        return state.histories[0].store.scores(last, [self.model.config.end] * len(last))

    def _spelling(self, word: int, *, first: bool) -> list[int]:
        """Return the tokens of a word."""
        found = self._spellings.get((word, first))
        if found is None:
            text = normalize_text(self.words[word], self._normalization)
            parts = [
                token
                for number, part in enumerate(text.split())
                for token in self._tokenizer.encode_word(part, first=first and number == 0)
            ]
            found = self._spellings[word, first] = parts
        return found

    def _following(self, histories: Sequence[_History], tokens: Sequence[int]) -> list[_History]:
        """Return each history with one more token."""
        missing: dict[tuple[_History, int], _History | None] = {}
        for history, token in zip(histories, tokens, strict=True):
            child = history.children.get(token)
            known = child() if child is not None else None
            missing[history, token] = known
        new = [pair for pair, known in missing.items() if known is None]
        if new:
            self._read([history for history, _ in new])
            store = new[0][0].store
            scores = store.scores([history.slots[-1] for history, _ in new], [token for _, token in new])
            for (history, token), score in zip(new, scores.tolist(), strict=True):
                made = _History(store, history, token, score)
                history.children[token] = ref(made)
                missing[history, token] = made
        return [known for pair in zip(histories, tokens, strict=True) if (known := missing[pair]) is not None]

    def _read(self, histories: Iterable[_History]) -> None:
        """Compute the last token of histories, where that is not done."""
        longest = self.model.config.max_positions
        pending = [history for history in dict.fromkeys(histories) if len(history.slots) < len(history.tokens)]
        for history in pending:
            if len(history.tokens) > longest:  # the next window, in which all is computed again
                history.tokens, history.slots = history.tokens[(longest + 1) // 2 :], ()
                history.parent = None
        pending.sort(key=lambda history: (len(history.tokens) - len(history.slots), len(history.tokens)))
        c = self.model.config
        while pending:
            room = CACHED_BYTES // (8 * c.num_layers * c.dim * len(pending[-1].tokens))
            some, pending = pending[: max(1, room)], pending[max(1, room) :]
            new = [history.tokens[len(history.slots) :] for history in some]
            found = some[0].store.read([history.slots for history in some], new)
            for history, slots in zip(some, found, strict=True):
                history.slots, history.owned = (*history.slots, *slots), slots
