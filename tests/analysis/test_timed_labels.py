"""Phones and words with times, from manifests and files."""

import json
from pathlib import Path

import pytest

from sonant.analysis.timed_labels import TimedLabel, labels_of
from sonant.data import ManifestEntry
from sonant.errors import ManifestError

HI = [TimedLabel("hi", 0.1, 0.5), TimedLabel("you", 0.5, 0.9)]
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"
xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.9
            text = "say ""hi"" "
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = "sil"
"""


def aligned(characters):
    words = [
        {"text": text, "start_seconds": start, "end_seconds": end, "characters": [
            {"text": each, "start_seconds": start, "end_seconds": end} for each in characters(text)]}
        for text, start, end in (("hi", 0.1, 0.5), ("you", 0.5, 0.9))
    ]  # fmt: skip
    return {"path": "in/a.wav", "segments": [{"words": words}]}


@pytest.mark.parametrize("words", [
    [["hi", 0.1, 0.5], ["you", 0.5, 0.9]],
    [{"word": "hi", "start": 0.1, "end": 0.5}, {"text": "you", "start": 0.5, "end": 0.9}],
])  # fmt: skip
def test_fields_of_the_manifest(words):
    found, none = labels_of(
        [ManifestEntry(Path("a.wav"), fields={"words": words, "phones": "HH AY"}), ManifestEntry(Path("b.wav"))], None
    )
    assert found == {"word": HI}
    assert none == {}


def test_alignments_of_sonant_give_words_and_phones_but_no_letters(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(aligned(list)))
    assert labels_of([ManifestEntry(Path("in/a.wav"))], tmp_path) == [{"word": HI}]
    (tmp_path / "a.json").write_text(json.dumps(aligned(lambda _: ["HH"])))
    found = labels_of([ManifestEntry(Path("in/a.wav"))], tmp_path / "a.json")[0]
    assert found["phone"] == [TimedLabel("HH", 0.1, 0.5), TimedLabel("HH", 0.5, 0.9)]


def test_textgrids(tmp_path):
    (tmp_path / "a.TextGrid").write_text(TEXTGRID)
    found = labels_of([ManifestEntry(Path("in/a.wav"))], tmp_path)[0]
    assert found["word"] == [TimedLabel("", 0.0, 0.1), TimedLabel('say "hi" ', 0.1, 0.9)]
    assert found["phone"] == [TimedLabel("", 0.0, 0.1)]


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ManifestError, match="no alignments"):
        labels_of([], tmp_path)
    for wrong in ([["hi", 0.5, 0.1]], [["hi", 0.5, 0.6], ["a", 0.1, 0.2]], [["hi", 0.5]], [{"start": 1, "end": 2}]):
        with pytest.raises(ManifestError, match=r"order|times"):
            labels_of([ManifestEntry(Path("a.wav"), fields={"words": wrong})], None)
