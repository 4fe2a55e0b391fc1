"""The pieces of sentencepiece's files, read without sentencepiece and compared with it; damaged and hostile ones."""

from io import BytesIO

import pytest

from sonant.checkpoints.sentencepiece_model import read_sentencepiece_model
from sonant.errors import CorruptedCheckpoint

sentencepiece = pytest.importorskip("sentencepiece")
TEXTS = ["the quick brown fox jumps over the lazy dog", "zwölf Boxkämpfer jagen Viktor", "日本 | ελληνικά"] * 4


def trained(kind="char", size=50, texts=TEXTS, **settings):
    """A model of sentencepiece, with the four specials where fairseq2 has them, as the bytes of its file."""
    model = BytesIO()
    numbers = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        character_coverage=1.0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=2,
        **(numbers | settings),
    )
    return model.getvalue()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("char", {}),
        ("bpe", {"user_defined_symbols": ["<en>", "{x}"], "control_symbols": ["<ctl>"]}),
        ("unigram", {"size": 60, "add_dummy_prefix": False}),
        ("bpe", {"size": 320, "byte_fallback": True}),
    ],
)
def test_pieces_are_those_of_sentencepiece(tmp_path, kind, settings):
    data = trained(kind, **settings)
    (tmp_path / "x.model").write_bytes(data)
    pieces = read_sentencepiece_model(tmp_path / "x.model")
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert list(pieces.texts) == [theirs.id_to_piece(i) for i in range(theirs.get_piece_size())]
    for name, asked in (("control", theirs.is_control), ("unknown", theirs.is_unknown), ("byte", theirs.is_byte)):
        assert [kind == name for kind in pieces.kinds] == [asked(i) for i in range(len(pieces.kinds))]
    assert (pieces.mark_behind, pieces.rewrites) == (False, False)


def test_settings_that_change_how_pieces_are_joined(tmp_path):
    (tmp_path / "x.model").write_bytes(trained(treat_whitespace_as_suffix=True))
    assert read_sentencepiece_model(tmp_path / "x.model").mark_behind
    (tmp_path / "y.model").write_bytes(trained() + b"\x2a\x05\x12\x03abc")  # a denormalizer with a table
    assert read_sentencepiece_model(tmp_path / "y.model").rewrites


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 some other file",
        b"\x0a\xff\xff\xff\xff\x0f",  # a piece longer than the file
        b"\x0a\x02\x18\x09",  # a piece of kind 9
        b"\x0a\x03\x0a\x01\xff",  # a piece that is not UTF-8
        b"\x08\x01",  # a number for a piece
        b"\x80" * 20,  # a number without an end
        b"\x0b\x0c",  # a group, which the format has no more
        b"\x12\x00",  # settings, and no piece
    ],
)
def test_what_is_no_model(tmp_path, data):
    (tmp_path / "x.model").write_bytes(data)
    with pytest.raises(CorruptedCheckpoint, match=r"x\.model is no sentencepiece model"):
        read_sentencepiece_model(tmp_path / "x.model")


def test_every_cut_is_noticed_or_harmless(tmp_path):
    """No cut of a file raises anything but the error that names it."""
    data, path = trained(), tmp_path / "x.model"
    whole = len(sentencepiece.SentencePieceProcessor(model_proto=data))
    for end in range(0, len(data), 3):
        path.write_bytes(data[:end])
        try:
            assert len(read_sentencepiece_model(path).texts) <= whole
        except CorruptedCheckpoint:
            continue
