"""What is written is read again, and a folder gets the manifest of what can be read in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.audio import Segment
from sonant.data import ManifestEntry, make_manifest, read_manifest, write_manifest
from sonant.data.rows import read_json_lines
from sonant.errors import ConfigurationError, ManifestError

RATE = 16_000


def entries(folder: Path) -> list[ManifestEntry]:
    return [
        ManifestEntry(folder / "a.wav", 2.5, {"text": 'one, "two"', "id": "a"}),
        ManifestEntry(folder / "deep/b c.flac", 1.25, {"text": "zwölf", "id": "b"}, Segment(0.1, 1.35), channel=1),
        ManifestEntry(Path("/else/d.wav"), 4.0, {"text": "", "id": "c"}, Segment(3.0)),
    ]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_what_is_written_is_read_again(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"list{ending}"
    given = entries(tmp_path)
    given[2] = replace(given[2], duration=None)  # of the rest of a recording
    write_manifest(path, given)
    assert read_manifest(path) == given


def test_audio_in_a_table_stays_there(tmp_path: Path) -> None:
    given = [ManifestEntry(tmp_path / "a.wav", None, {"label": "x"}, data=b"RIFF")]
    write_manifest(tmp_path / "t.parquet", given)
    assert read_manifest(tmp_path / "t.parquet") == given
    with pytest.raises(ManifestError, match="which only Parquet can hold"):
        write_manifest(tmp_path / "t.jsonl", given)
    assert not (tmp_path / "t.jsonl").exists()


def test_a_tab_fits_into_no_tsv(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="a tab or an end of line"):
        write_manifest(tmp_path / "t.tsv", [ManifestEntry(tmp_path / "a.wav", None, {"text": "a\tb"})])


def test_names_that_are_not_utf8_are_written(tmp_path: Path) -> None:
    given = [ManifestEntry(tmp_path / "m\udcfcller.wav")]
    write_manifest(tmp_path / "t.jsonl", given)
    assert [row.fields["path"] for row in read_json_lines(tmp_path / "t.jsonl")] == ["m\udcfcller.wav"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for name, seconds, channels in (("cat/1.wav", 0.5, 1), ("dog/1.flac", 0.25, 2)):
        (folder / name).parent.mkdir(parents=True)
        samples = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), channels))
        soundfile.write(folder / name, samples, RATE)
    (folder / "cat/1.txt").write_text("meow\n")
    return folder


def test_the_manifest_of_a_folder(corpus: Path) -> None:
    made = make_manifest(corpus, show_progress=False)
    assert (made.path, made.recordings, made.seconds, made.skipped) == (corpus / "manifest.jsonl", 2, 0.75, {})
    facts = {"sampling_rate": RATE, "num_channels": 1}
    listed = read_manifest(corpus)
    assert listed == [
        ManifestEntry(corpus / "cat/1.wav", 0.5, {**facts, "text": "meow", "label": "cat"}),
        ManifestEntry(corpus / "dog/1.flac", 0.25, {**facts, "num_channels": 2, "label": "dog"}),
    ]
    with pytest.raises(ConfigurationError, match="exists"):
        make_manifest(corpus)
    (corpus / "dog/1.flac").unlink()
    assert make_manifest(corpus, overwrite=True).recordings == 1
    assert (corpus / "manifest.jsonl").read_text().startswith('{"path": "cat/1.wav"')


def test_recordings_that_cannot_be_read_are_left_out(corpus: Path, tmp_path: Path) -> None:
    (corpus / "dog/bad.wav").write_bytes(b"RIFF")
    made = make_manifest(corpus, tmp_path / "list.csv")
    assert list(made.skipped) == [str(corpus / "dog/bad.wav")]
    assert [entry.path.name for entry in read_manifest(tmp_path / "list.csv")] == ["1.wav", "1.flac"]
    for path in corpus.rglob("1.*"):
        path.unlink()
    with pytest.raises(ManifestError, match="None of the 1 recordings"):
        make_manifest(corpus, tmp_path / "none.csv")


def test_a_list_is_rewritten(corpus: Path, tmp_path: Path) -> None:
    (corpus / "wav.scp").write_text("one cat/1.wav\ntwo dog/1.flac\n")
    (corpus / "segments").write_text("a one 0.1 0.3\nb one 0.3 9\nc two 0.1 -1 1\nd two 0 0.1 2\n")
    made = make_manifest(corpus, tmp_path / "list.jsonl")
    outside, channel = made.skipped.values()
    assert "the segment 0.3 to 9 s was asked for" in outside
    assert "channel 2 was asked for" in channel
    first, second = read_manifest(tmp_path / "list.jsonl")
    assert (first.segment, first.duration, first.fields["id"]) == (Segment(0.1, 0.3), pytest.approx(0.2), "a")
    assert (second.segment, second.channel, second.duration) == (Segment(0.1, 0.25), 1, pytest.approx(0.15))
    with pytest.raises(ConfigurationError, match="by folder are for folders of audio files"):
        make_manifest(corpus, tmp_path / "other.jsonl", label=1)


@pytest.mark.parametrize("output", ["list.txt", "list"])
def test_an_unknown_ending(output: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected an ending of \.jsonl"):
        make_manifest(corpus, tmp_path / output)
