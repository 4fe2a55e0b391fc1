"""A Transformer in a beam: word by word the same as at once, in bounded memory."""

import pytest
import torch

from sonant.data.text_tokenizers import SPECIALS, TextTokenizer, UnitTokenizer, make_tokenizer
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.decoding.transformer_model import TransformerLanguageModel, TransformerState
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from tests.models.language_models import small_lm

WORDS = ["THE", "CAT", "SAT", "ON", "A", "MAT", "DOG'S"]
TOKENIZERS: dict[str, TextTokenizer] = {
    "words": UnitTokenizer([*SPECIALS, *map(str.lower, WORDS)], "words"),
    "characters": UnitTokenizer([*SPECIALS, " ", "'", *"abcdeghmnost"], "characters"),
}


def model(kind: str) -> TransformerLanguageModel:
    tokenizer = TOKENIZERS.get(kind) or make_tokenizer(["the cat sat on a mat", "the dog's mat"], "subwords", size=26)
    return TransformerLanguageModel(small_lm(len(tokenizer)), tokenizer, normalization="lower", words=WORDS)


def at_once(lm: TransformerLanguageModel, text: str) -> float:
    tokens = torch.tensor(lm._tokenizer.encode(text.lower()), dtype=torch.long)
    return float(lm.model.log_probabilities(Packed.pack([tokens])).values.sum())


@pytest.mark.parametrize("kind", ["words", "characters", "subwords"])
def test_word_by_word_equals_at_once(kind: str) -> None:
    """Texts of different lengths grow together, some longer than the 12 positions of the model."""
    lm = model(kind)
    draw = torch.Generator().manual_seed(0)
    state, texts, totals = lm.start(1), [""], torch.zeros(1)
    for _ in range(8):
        rows = torch.randint(len(texts), (5,), generator=draw)
        words = torch.randint(1, len(lm.words), (5,), generator=draw)
        scores, longer = lm.score(state[rows], words)
        assert len(scores) == len(longer) == 5
        pairs = zip(rows.tolist(), words.tolist(), strict=True)
        texts += [f"{texts[row]} {lm.words[word]}".strip() for row, word in pairs]
        state, totals = state.append(longer), torch.cat([totals, totals[rows] + scores])
    found = totals + lm.finish(state)
    assert found.tolist() == pytest.approx([at_once(lm, text) for text in texts], rel=1e-4)


@pytest.mark.parametrize("kind", ["words", "characters", "subwords"])
def test_a_beam_search_finds_texts_with_the_scores_of_whole_texts(kind: str) -> None:
    lm, options = model(kind), BeamSearch(beam=8, n_best=8, lm_weight=0.7, word_score=4.0)
    vocabulary = CTCVocabulary.of(["<pad>", "|", *sorted(set("".join(WORDS)))])
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(50, len(vocabulary.tokens), generator=draw)
    emissions = Packed(logits.log_softmax(-1), torch.tensor([30, 20]))
    found = PrefixBeamDecoder(vocabulary, options, lm=lm, lexicon=Lexicon.of(WORDS)).decode(emissions)
    assert max(len(each.words) for hypotheses in found for each in hypotheses) > 3
    for each in found[0] + found[1]:
        assert each.lm_score == pytest.approx(at_once(lm, each.text), rel=1e-4)
        assert each.score == pytest.approx(each.emission_score + 0.7 * each.lm_score + 4 * len(each.words), rel=1e-4)


def test_slots_of_histories_that_nobody_has_are_used_again() -> None:
    lm = model("words")
    state = lm.start(1)
    store = state.histories[0].store
    used = []
    for step in range(40):
        _, state = lm.score(state[torch.zeros(6, dtype=torch.long)], torch.arange(6) + 1)
        lm.finish(state)
        state = state[torch.tensor([step % 6])]
        used.append(len(store.outputs) - len(store.free))
    assert max(used[20:]) <= 20  # a window of 12 for the hypothesis, and of its parent what it still shares


def test_equal_histories_are_one() -> None:
    lm = model("words")
    _, state = lm.score(lm.start(3), torch.tensor([1, 2, 1]))
    assert state.histories[0] is state.histories[2]
    again, same = lm.score(lm.start(1).append(state)[torch.tensor([1, 3])], torch.tensor([4, 4]))
    assert same.histories[0] is same.histories[1]
    assert again[0] == again[1]


def test_nothing_to_score_is_no_error() -> None:
    lm = model("words")
    nothing = torch.zeros(0, dtype=torch.long)
    scores, state = lm.score(lm.start(2)[nothing], nothing)
    assert (len(scores), len(state), len(lm.finish(state))) == (0, 0, 0)
    assert isinstance(state, TransformerState)


def test_units_are_named_as_in_vocabularies_of_ctc() -> None:
    characters = TransformerLanguageModel(small_lm(18), TOKENIZERS["characters"])
    assert characters.words[4] == "|"
    assert characters.words[characters.unknown] == "<unk>"
    with pytest.raises(ConfigurationError, match="Give a lexicon"):
        TransformerLanguageModel(small_lm(26), make_tokenizer(["a b c", "b c d e f g h i"], "subwords", size=15))
