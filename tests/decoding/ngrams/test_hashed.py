"""Beam searches with hash tables of n-grams: the scores are those of the ARPA file from which the tables were made."""

from pathlib import Path

import pytest
import torch

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.decoding.prefix_beam.compiled_search import KERNEL
from sonant.layers.kernels.compiled import compiled
from sonant.layers.packed import Packed
from tests.decoding.prefix_beam.test_decoder import emission

FILES = Path(__file__).parent / "kenlm"
WORDS = CTCVocabulary.of(["<pad>", "|", "a", "b", "c", "d"])  # "d" is no word, nor are "ab" and others
UNITS = CTCVocabulary.of(["<pad>", "a", "b", "c"])
CLIPS = [emission(frames, 7 + frames, units=6, sharpness=1.0) for frames in (25, 3, 0, 40)]
SEARCH = BeamSearch(beam=12, n_best=12, lm_weight=0.8, word_score=0.5, unknown_score=-2.0)


def found(name: str, vocabulary: CTCVocabulary, lexicon: Lexicon | None) -> list[list[Hypothesis]]:
    decoder = PrefixBeamDecoder(vocabulary, SEARCH, lm=load_ngram_model(FILES / name), lexicon=lexicon)
    clips = [clip[:, : len(vocabulary.tokens)].log_softmax(-1) for clip in CLIPS]
    together = decoder.decode(Packed.pack(clips))
    search = decoder.begin(torch.device("cpu"))
    for first in range(0, len(clips[-1]), 7):
        search.append(clips[-1][first : first + 7])
    return [*together, search.finish()]


@pytest.mark.parametrize("kernels", ["0", "1"])
@pytest.mark.parametrize(
    ("vocabulary", "lexicon"), [(WORDS, None), (WORDS, Lexicon.of(["a", "b", "c", "ab"])), (UNITS, None)]
)
def test_hypotheses_are_those_of_the_arpa_file(
    vocabulary: CTCVocabulary, lexicon: Lexicon | None, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONANT_KERNELS", kernels)
    if kernels == "1" and compiled(KERNEL) is None:
        pytest.skip("no kernel on this machine")
    expected = found("pruned.arpa", vocabulary, lexicon)
    for name in ("pruned_probing.binary", "pruned_rest.binary"):
        for ours, wanted in zip(found(name, vocabulary, lexicon), expected, strict=True):
            assert [one.text for one in ours] == [one.text for one in wanted]
            assert [number for one in ours for number in (one.score, one.lm_score)] == pytest.approx(
                [number for one in wanted for number in (one.score, one.lm_score)], abs=1e-4
            )


def test_what_contexts_consist_of_does_not_depend_on_what_was_scored_before() -> None:
    used, fresh = (load_ngram_model(FILES / "pruned_probing.binary") for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    state = used.start(50)
    for _ in range(20):
        _, state = used.score(state, torch.randint(0, 6, (50,), generator=generator))
    sentences = torch.randint(0, 6, (50, 9), generator=generator)
    of_used, of_fresh = used.start(50), fresh.start(50)
    for position in range(9):
        scores, of_used = used.score(of_used, sentences[:, position])
        expected, of_fresh = fresh.score(of_fresh, sentences[:, position])
        assert torch.equal(scores, expected)
        assert torch.equal(of_used, of_fresh)
