"""Hypotheses in every format give the same texts, and names find their recordings."""

from pathlib import Path

import pytest

from sonant.audio import Segment
from sonant.data import ManifestEntry
from sonant.data.hypotheses import is_hypotheses, match_hypotheses, read_hypotheses
from sonant.errors import ManifestError

ENTRIES = [ManifestEntry(Path("/corpus/a/one.wav"), fields={"id": "u1"}), ManifestEntry(Path("/corpus/b/one.wav"))]
FORMATS = {
    "ids.jsonl": '{"id": "u1", "text": "hello there"}\n{"path": "b/one.wav", "text": ""}\n',
    "nemo.json": '{"audio_filepath": "/x/a/one.wav", "text": "no", "pred_text": "hello there"}\n'
    '{"audio_filepath": "/x/b/one.wav", "text": "no", "pred_text": ""}\n',
    "h.csv": "path,text\na/one,hello there\nb/one,\n",
    "columns.tsv": "id\ttext\nu1\thello there\nb/one.wav\t\n",
    "h.tsv": "u1\thello there\nb/one.wav\t\n",
    "text": "u1 hello there\nb/one\n",
    "h.txt": "u1 hello there\nb/one \n",
    "h.trn": ";; by sclite\nhello there (u1)\n (b/one)\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMATS[name])
    assert is_hypotheses(tmp_path / name)
    found = match_hypotheses(ENTRIES, read_hypotheses(tmp_path / name))
    assert [each and each.text for each in found] == ["hello there", ""]


def test_segments_and_channels_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text(
        '{"path": "one.wav", "offset": 2.5, "duration": 1, "text": "second"}\n'
        '{"path": "one.wav", "channel": 1, "text": "other channel"}\n'
        '{"path": "one.wav", "offset": 0, "channel": 0, "text": "first"}\n'
    )
    one = Path("/c/one.wav")
    entries = [
        ManifestEntry(one, segment=Segment(0.0, 2.5), channel=0),
        ManifestEntry(one, segment=Segment(2.5, 3.5), channel=0),
        ManifestEntry(Path("/c/two.wav")),
    ]
    assert [each and each.text for each in match_hypotheses(entries, read_hypotheses(path))] == [
        "first",
        "second",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h.jsonl", '{"id": "u1"}', "expected the text as 'pred_text' or 'text'"),
        ("h.jsonl", '{"text": "a"}', "expected the recording as 'id'"),
        ("h.jsonl", '{"id": "u1", "text": 3}', "expected the text"),
        ("h.jsonl", '{"id": "u1", "text": "a", "offset": "x"}', "'offset' is 'x'"),
        ("h.trn", "hello there", "round brackets at the end"),
        ("h.tsv", "id\ttext\nu1", "1 values for 2 columns"),
        ("h.txt", "", "it is empty"),
        ("h.txt", "u1 caf\u00e9", "is not UTF-8"),
        ("model.pt", "x", "holds no hypotheses, by its name"),
        ("h.txt", "u1 a\nu1 b", "both have a text for /corpus/a/one.wav"),
        ("h.txt", "one a", "could be /corpus/a/one.wav or /corpus/b/one.wav"),
        ("h.txt", "x a", "None of the 2 recordings has a text among the 1, whose names are such as 'x'"),
    ],
)
def test_what_is_wrong_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=message):
        match_hypotheses(ENTRIES, read_hypotheses(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no hypotheses at"):
        read_hypotheses(tmp_path / "none.jsonl")
