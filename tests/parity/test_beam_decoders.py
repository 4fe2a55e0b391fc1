"""The prefix beam search finds the texts and scores of flashlight and of ctc-beam-decoder, with wide beams."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.layers.packed import Packed

LETTERS = ["<pad>", "|", "A", "B", "C"]
WORDS = ["AB", "A", "CAB", "B"]
WIDE = {"beam": 1000, "beam_threshold": 1e6, "n_best": 20}
ARPA = """\\data\\
ngram 1=7
ngram 2=5

\\1-grams:
-1.2\t<unk>\t0
0\t<s>\t-0.3
-0.9\t</s>\t0
-0.7\tAB\t-0.2
-0.8\tA\t-0.25
-1.1\tCAB\t-0.1
-1.3\tB\t-0.15

\\2-grams:
-0.3\t<s> AB
-0.4\tAB A
-0.6\tA AB
-0.5\tCAB </s>
-0.2\tB CAB

\\end\\
"""


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return str(path)


def emission(frames: int, seed: int, *, delimited: bool) -> Tensor:
    """Random emissions whose last frames are surely a delimiter, if wanted, and a blank."""
    logits = 2.5 * torch.randn(frames, 5, generator=torch.Generator().manual_seed(seed))
    if delimited:
        logits[-2] = torch.tensor([0, 40.0, 0, 0, 0])
    logits[-1] = torch.tensor([40.0, 0, 0, 0, 0])
    return logits.log_softmax(-1)


@pytest.mark.parametrize("with_lm", [False, True])
def test_lexicon_of_flashlight(arpa: str, with_lm: bool) -> None:
    decoder = pytest.importorskip("flashlight.lib.text.decoder")
    dictionary = pytest.importorskip("flashlight.lib.text.dictionary").Dictionary([*WORDS, "<unk>"])
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm")
    model = kenlm.KenLM(arpa, dictionary) if with_lm else decoder.ZeroLM()
    trie, start = decoder.Trie(5, 1), model.start(False)
    for word in WORDS:
        index = dictionary.get_index(word)
        trie.insert([LETTERS.index(letter) for letter in word + "|"], index, model.score(start, index)[1])
    trie.smear(decoder.SmearingMode.MAX)
    options = decoder.LexiconDecoderOptions(2000, 5, 1e6, 2.0, -0.3, -math.inf, 0.2, True, decoder.CriterionType.CTC)
    theirs = decoder.LexiconDecoder(options, trie, model, 1, 0, dictionary.get_index("<unk>"), [], False)
    # Their scores of a language model are logarithms to base 10.
    ours = PrefixBeamDecoder(
        CTCVocabulary.of(LETTERS),
        BeamSearch(lm_weight=2.0 / math.log(10), word_score=-0.3, silence_weight=0.2, **WIDE),
        lm=load_ngram_model(arpa) if with_lm else None,
        lexicon=Lexicon.of(WORDS),
    )
    for seed in range(2):
        values = emission(14, seed, delimited=True).contiguous()
        array = values.numpy()
        expected = theirs.decode(array.ctypes.data, *array.shape)
        (found,) = ours.decode(Packed.pack([values]))
        for one, other in zip(found[:8], expected, strict=False):
            assert one.text == " ".join(dictionary.get_entry(word) for word in other.words if word >= 0)
            assert one.score == pytest.approx(other.score, abs=1e-3)
            if with_lm:
                assert one.lm_score == pytest.approx(other.lmScore * math.log(10), abs=1e-3)


def test_open_vocabulary_of_ctc_beam_decoder(arpa: str) -> None:
    build = pytest.importorskip("ctc_beam_decoder").build_ctcdecoder
    options = {"beam_width": 3000, "beam_prune_logp": -1e6, "token_min_logp": -1e6}
    values = emission(8, 1, delimited=False)
    vocabulary = CTCVocabulary.of(LETTERS)
    expected = {one[0]: one[4] for one in build(["", *LETTERS[1:]]).decode_beams(values.numpy(), **options)}
    (found,) = PrefixBeamDecoder(vocabulary, BeamSearch(**WIDE)).decode(Packed.pack([values]))
    assert {one.text: one.score for one in found} == pytest.approx(
        {one.text: expected[one.text] for one in found}, abs=1e-4
    )
    theirs = build(["", *LETTERS[1:]], arpa, unigrams=WORDS, alpha=0.5, beta=1.5)
    expected = {one[0]: one[4] for one in theirs.decode_beams(values.numpy(), **options)}
    search = BeamSearch(lm_weight=0.5, word_score=1.5, unknown_score=-10.0, **WIDE)
    (found,) = PrefixBeamDecoder(vocabulary, search, lm=load_ngram_model(arpa)).decode(Packed.pack([values]))
    # Some texts that end with the last word of the file are taken for unknown by version 0.2.0.
    comparable = [one for one in found[:10] if not one.text.endswith(" B")]
    assert len(comparable) >= 5
    for one in comparable:
        assert one.score == pytest.approx(expected[one.text], abs=1e-3), one.text
