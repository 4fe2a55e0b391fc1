"""A prefix beam search in C++, for recordings on a CPU: a recording to a thread, frame after frame.

The structures are those of `layers/kernels/prefix_beam.cpp`, field by field. A language model has to be an n-gram.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sonant.decoding.ngrams.hashed import HashedNgramModel
from sonant.decoding.ngrams.model import BackOffModel
from sonant.decoding.prefix_beam.history import Choices
from sonant.decoding.prefix_beam.models import CombinedModels
from sonant.decoding.prefix_beam.search import DECIDED_EVERY, RESCALED_EVERY, PrefixSearch
from sonant.layers.kernels.compiled import compiled
from sonant.layers.packed import Packed

KERNEL = "prefix_beam"


def can_search(models: CombinedModels, device: torch.device) -> bool:
    """Return whether a compiled search is possible: a CPU, a compiler, and no language model but n-grams."""
    known = models.lm is None or isinstance(models.lm, BackOffModel)
    return known and device.type == "cpu" and compiled(KERNEL) is not None


class CompiledSearch(PrefixSearch):
    """A search by the kernel."""

    def advance(self, emissions: Packed) -> Choices:
        library = compiled(KERNEL)
        assert library is not None
        values, sizes = emissions.values.contiguous(), emissions.lengths
        frames, recordings = max(emissions.sizes), len(emissions)
        choices = Choices.empty(frames, recordings, self.options.beam)
        starts, offsets = emissions.offsets.contiguous(), self.offsets
        search = _Search(
            recordings,
            self.frames,
            min(torch.get_num_threads(), recordings),
            *map(_address, (values, starts, sizes, self.scores, self.states, offsets)),
            *(each.ctypes.data for each in choices),
        )
        library.sonant_prefix_beam(ctypes.byref(self._models), ctypes.byref(search))
        self.frames += frames
        return choices

    @cached_property
    def _starts(self) -> Tensor | None:
        """The starts of the orders of a model that finds n-grams by hashes."""
        lm = self.models.lm
        return torch.tensor(lm.starts) if isinstance(lm, HashedNgramModel) else None

    @cached_property
    def _models(self) -> _Models:
        units, options, models = self.units, self.options, self.models
        hot, tokens = models.hot, options.beam_tokens
        bonus = 0.0 if hot is None else float(hot.bonus.max())
        return _Models(
            units.padding + 1,
            units.blank,
            self.delimiter,
            units.delimiter is not None,
            RESCALED_EVERY,
            DECIDED_EVERY,
            self.multiplier,
            _address(self.label_codes),
            _Options(
                options.beam,
                tokens if tokens is not None and tokens < units.padding - 1 else 0,
                options.beam_threshold,
                options.lm_weight,
                options.word_score,
                options.silence_weight,
                options.unknown_score,
                max(0.0, options.word_score) + max(0.0, options.unknown_score) + max(0.0, bonus),
            ),
            *((None, None) if hot is None else (_address(hot.following), _address(hot.bonus))),
            _open_words(models),
            _lexicon(models),
            _ngrams(models.lm, self._starts),
            _address(models.lm_units),
        )


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


class _Sorted(Structure):
    _fields_ = (("values", c_void_p), ("count", c_int64))

    @classmethod
    def of(cls, values: Tensor) -> _Sorted:
        return cls(values.data_ptr(), len(values))


class _Ngrams(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("order", "num_words", "unknown")),
        ("arcs", _Sorted),
        *((name, c_void_p) for name in ("log_probabilities", "contexts", "back_offs", "back_off_contexts")),
        *((name, c_void_p) for name in ("starts", "first_words")),
    )


class _OpenWords(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("ends", "in_word", "factors", "codes")),
        ("hashes", _Sorted),
        ("prefixes", _Sorted),
        ("numbers", c_void_p),
    )


class _Lexicon(Structure):
    _fields_ = (
        ("choices", c_int64),
        ("table", c_void_p),
        ("edges", _Sorted),
        *((name, c_void_p) for name in ("counts", "firsts", "words", "numbers", "look_ahead")),
    )


class _Options(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("beam", "tokens")),
        *(
            (name, c_float)
            for name in ("threshold", "lm_weight", "word_score", "silence_weight", "unknown_score", "highest_bonus")
        ),
    )


class _Models(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("units", "blank", "delimiter", "has_delimiter")),
        *((name, c_int64) for name in ("rescaled_every", "decided_every", "multiplier")),
        ("label_codes", c_void_p),
        ("options", _Options),
        *((name, c_void_p) for name in ("hot_following", "hot_bonus")),
        ("open", _OpenWords),
        ("lexicon", _Lexicon),
        ("lm", _Ngrams),
        ("lm_units", c_void_p),
    )


class _Search(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("recordings", "frames_before", "threads")),
        *((name, c_void_p) for name in ("emissions", "starts", "lengths", "scores", "states", "offsets")),
        *((name, c_void_p) for name in ("pointers", "begins", "labels", "entries")),
    )


def _ngrams(lm: Any, starts: Tensor | None) -> _Ngrams:
    if lm is None:
        return _Ngrams()
    if isinstance(lm, HashedNgramModel):
        arcs, log_probabilities, contexts, first_words = lm.hashes, lm.log_probabilities, None, lm.first_words
    else:
        arcs, log_probabilities, contexts, first_words = lm.arc_keys, lm.arc_log_probabilities, lm.arc_contexts, None
    tensors = (log_probabilities, contexts, lm.back_offs, lm.back_off_contexts, starts, first_words)
    return _Ngrams(lm.order, len(lm.words), lm.unknown, _Sorted.of(arcs), *map(_address, tensors))


def _open_words(models: CombinedModels) -> _OpenWords:
    words = models.open
    if words is None:
        return _OpenWords()
    return _OpenWords(
        *map(_address, (words.ends, words.in_word, words.factors, words.codes)),
        _Sorted.of(words.hashes),
        _Sorted.of(words.prefixes),
        _address(words.numbers),
    )


def _lexicon(models: CombinedModels) -> _Lexicon:
    words = models.lexicon
    if words is None:
        return _Lexicon()
    trie = words.trie
    tensors = (trie.counts, trie.firsts, trie.words, words.numbers, words.look_ahead)
    return _Lexicon(trie.most, _address(trie.table), _Sorted.of(trie.keys), *map(_address, tensors))
