"""Lists of recordings in every format say the same; what is not one of them says how it should look."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from sonant.audio import Segment
from sonant.data import ManifestEntry, read_manifest
from sonant.data.manifest import OTHER_LISTS, is_manifest
from sonant.errors import ManifestError

ROWS: list[dict[str, Any]] = [
    {"path": "a.wav", "duration": 2.5, "text": "one, two"},
    {"path": "deep/b c.flac", "duration": None, "text": 'a "word"'},
    {"path": "/else/d.wav", "duration": 0.25, "text": "zwölf\u2028Boxkämpfer"},
]


def write(folder: Path, ending: str) -> Path:
    path = folder / f"list{ending}"
    if ending == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(ROWS), path)
    elif ending == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS)
    elif ending == ".tsv":
        lines = ["\t".join("" if value is None else str(value) for value in row.values()) for row in ROWS]
        path.write_text("\n".join(["path\tduration\ttext", *lines]) + "\n", encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json", ".csv", ".CSV", ".tsv", ".parquet"])
def test_every_format_says_the_same(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path, ending.lower()).rename(tmp_path / f"list{ending}")
    assert is_manifest(path)
    assert read_manifest(path) == [
        ManifestEntry(tmp_path / row["path"], row["duration"], {"text": row["text"]}) for row in ROWS
    ]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_byte_order_marks_change_nothing(end: str, mark: str, tmp_path: Path) -> None:
    table = put(tmp_path, "a.csv", mark + end.join(["path,duration", '"x, y.wav",1', "", "z.wav,", ""]))
    lines = put(tmp_path, "a.jsonl", mark + end.join(['{"path": "x, y.wav", "duration": 1}', "", '{"path": "z.wav"}']))
    expected = [ManifestEntry(tmp_path / "x, y.wav", 1.0), ManifestEntry(tmp_path / "z.wav")]
    assert read_manifest(table) == read_manifest(lines) == expected


def test_the_names_of_other_toolkits(tmp_path: Path) -> None:
    nemo = put(tmp_path, "train.json", '{"audio_filepath": "a.wav", "duration": 1.5, "text": "hi", "offset": 0}\n')
    assert read_manifest(nemo) == [ManifestEntry(tmp_path / "a.wav", 1.5, {"text": "hi"}, Segment(0.0, 1.5))]
    folder = put(tmp_path, "metadata.csv", "file_name,label\na.wav,dog\n")
    assert read_manifest(folder) == [ManifestEntry(tmp_path / "a.wav", None, {"label": "dog"})]
    fairseq = put(tmp_path, "train.tsv", "/data/speech\na/b.flac\t16000\nc d.flac\t320\n")
    assert read_manifest(fairseq) == [
        ManifestEntry(Path("/data/speech/a/b.flac"), None, {"num_samples": 16_000}),
        ManifestEntry(Path("/data/speech/c d.flac"), None, {"num_samples": 320}),
    ]
    kaldi = put(tmp_path, "wav.scp", "utt1 a.wav\nutt2\t/data/b c.wav \n")
    assert read_manifest(kaldi) == [
        ManifestEntry(tmp_path / "a.wav", None, {"id": "utt1"}),
        ManifestEntry(Path("/data/b c.wav"), None, {"id": "utt2"}),
    ]
    put(tmp_path, "text", "utt2 TWO WORDS\nutt3 NOBODY\nutt1\n")
    put(tmp_path, "utt2spk", "utt1 ann\nutt2 bob\n")
    put(tmp_path, "utt2dur", "utt2 1.5\n")
    assert read_manifest(kaldi) == [
        ManifestEntry(tmp_path / "a.wav", None, {"id": "utt1", "text": "", "speaker": "ann"}),
        ManifestEntry(Path("/data/b c.wav"), 1.5, {"id": "utt2", "text": "TWO WORDS", "speaker": "bob"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "filename,duration\na.wav,1\n", r"a\.csv:2: nothing here is called 'path'.*is 'filename' meant\?"),
        ("a.csv", "Path,duration\na.wav,1\n", "is 'Path' meant"),
        ("a.csv", "a.wav\nb.wav\n", "nothing here is called 'path'.*The names are 'a.wav'"),
        ("a.csv", "path;duration\na.wav;1\n", "separated by ';'"),
        ("a.csv", "path\tduration\na.wav\t1\n", r"separated by '\\t'"),
        ("a.tsv", "path,duration\na.wav,1\n", "separated by ','"),
        ("a.csv", "path,path\na,b\n", "two columns are called 'path'"),
        ("a.csv", "path,text\na.wav,one, two\n", r"a\.csv:2: 3 values for 2 columns"),
        ("a.csv", 'path,text\na.wav,"one\n', "double quote"),
        ("a.csv", "path,duration\na.wav,soon\n", "'duration' is 'soon'; expected seconds"),
        ("a.csv", "path,duration\na.wav,nan\n", "expected seconds"),
        ("a.csv", "path,duration\n,1\n", "expected the path of a recording"),
        ("a.csv", "path,audio_filepath\na.wav,b.wav\n", "both name a recording"),
        ("a.csv", "path\n", "lists no recordings"),
        ("a.jsonl", '[{"path": "a.wav"}]', "one a line"),
        ("a.jsonl", '{"path": "a.wav", "duration": true}', "expected seconds"),
        ("a.json", '{"audio_filepath": "a.wav", "offset": 1.5, "start": 1}', "'start' and 'offset' both"),
        ("a.csv", "path,start,end\na.wav,2,1.5\n", "ends at 1.5 s, and begins at 2 s"),
        ("a.csv", "path,start,end,duration\na.wav,1,2,60\n", "has a 'duration' of 60 s.*whole recording"),
        ("a.csv", "path,start\na.wav,soon\n", "'start' is 'soon'; expected seconds"),
        ("a.csv", "path,channel\na.wav,left\n", "'channel' is 'left'; expected the number"),
        ("a.csv", "path,channel\na.wav,-1\n", "expected the number"),
        ("a.tsv", "/root\na.wav\t100\nb.wav\n", r"a\.tsv:3: expected a path, a tab and a number of samples"),
        ("a.csv", "path,text\na.wav,zwölf\n".encode("latin-1"), r"a\.csv:2: 'text' is not UTF-8"),
        ("a.csv", "path\nmüller.wav\n".encode("latin-1"), r"a\.csv:2: 'path' is not UTF-8"),
        ("a.csv", "path\na.wav\n".encode("utf-16"), "is UTF-16"),
        ("a.parquet", b"PAR1 and so on", "is not whole Parquet"),
        ("wav.scp", "utt sph2pipe -f wav a.sph |\n", r"wav\.scp:1: 'utt' is what a command writes"),
        ("wav.scp", "utt raw.ark:17\n", "place in an archive"),
        ("wav.scp", "utt\n", "expected a name and the path"),
        ("wav.scp", "utt a.wav\nutt b.wav\n", r"wav\.scp:2: 'utt' stands here a second time"),
        ("segments", "utt1 rec1 0.0 1.5\n", r"cuts the recordings of a wav\.scp.*none beside it"),
        ("list.txt", "a.wav\n", r"no list of recordings.*\.jsonl.*\.csv.*\.parquet.*wav\.scp"),
        ("some.flac", b"fLaC", "single recording is listed"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(put(tmp_path, name, content))


def test_a_file_name_that_is_not_utf8_is_read_where_it_exists(tmp_path: Path) -> None:
    name = "m\udcfcller.wav"  # as Python names the byte 0xFC
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    listed = put(tmp_path, "list.csv", b"path\nm\xfcller.wav\n")
    assert [os.fsencode(recording.path.name) for recording in read_manifest(listed)] == [b"m\xfcller.wav"]
    (tmp_path / "\udcfc").mkdir()  # the folder's name is no fault of the list
    assert len(read_manifest(put(tmp_path / "\udcfc", "list.csv", "path\nmissing.wav\n"))) == 1


SEGMENTS = [
    ManifestEntry(Path("a.wav"), 1.5, {"id": "one", "text": "HI"}, Segment(0.5, 2.0)),
    ManifestEntry(Path("a.wav"), 4.25, {"id": "two", "text": "YOU"}, Segment(2.0, 6.25), channel=1),
]
NEMO = (
    '{"audio_filepath": "a.wav", "offset": 0.5, "duration": 1.5, "id": "one", "text": "HI"}\n'
    '{"audio_filepath": "a.wav", "offset": 2, "duration": 4.25, "channel": 1, "id": "two", "text": "YOU"}\n'
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,start,end,channel,id,text\na.wav,0.5,2,,one,HI\na.wav,2,6.25,1,two,YOU\n"),
        ("a.tsv", "path\toffset\tduration\tchannel\tid\ttext\na.wav\t.5\t1.5\t\tone\tHI\na.wav\t2\t4.25\t1\ttwo\tYOU"),
        ("nemo.json", NEMO),
    ],
)
def test_every_format_has_segments_and_channels(name: str, content: str, tmp_path: Path) -> None:
    expected = [replace(entry, path=tmp_path / "a.wav") for entry in SEGMENTS]
    assert read_manifest(put(tmp_path, name, content)) == expected


def test_a_folder_of_kaldi_with_segments(tmp_path: Path) -> None:
    scp = put(tmp_path, "wav.scp", "talk a.wav\nunused b.wav\n")
    put(tmp_path, "segments", "one talk 0.5 2.0\ntwo talk 2.0 6.25 1\nrest talk 6.25 -1\n")
    put(tmp_path, "text", "one HI\ntwo YOU\n")
    put(tmp_path, "utt2spk", "one ann\nrest bob\n")
    put(tmp_path, "utt2dur", "one 1.4999\n")
    expected = [
        *(replace(e, path=tmp_path / "a.wav", fields={**e.fields, "recording": "talk"}) for e in SEGMENTS),
        ManifestEntry(tmp_path / "a.wav", None, {"id": "rest", "recording": "talk", "speaker": "bob"}, Segment(6.25)),
    ]
    expected[0] = replace(expected[0], fields={**expected[0].fields, "speaker": "ann"})
    assert read_manifest(scp) == read_manifest(tmp_path / "segments") == read_manifest(tmp_path) == expected
    for lines, message in [
        ("one other 0 1\n", r"segments:1: there is no recording 'other'"),
        ("one talk 0\n", "expected the names of an utterance"),
        ("one talk 0 1\none talk 1 2\n", "'one' stands here a second time"),
        ("one talk 3 2\n", r"segments:1: the segment ends at 2 s"),
    ]:
        put(tmp_path, "segments", lines)
        with pytest.raises(ManifestError, match=message):
            read_manifest(scp)


def test_labels_beside_a_list_of_fairseq(tmp_path: Path) -> None:
    listed = put(tmp_path, "train.tsv", "/data\na.flac\t16000\nb.flac\t320\n")
    put(tmp_path, "train.ltr", "H I | Y O U |\n\n")
    put(tmp_path, "train.phn", "HH AY\nY UW\n")
    assert [entry.fields.get("text") for entry in read_manifest(listed)] == ["HI YOU", ""]
    put(tmp_path, "train.wrd", "HI YOU\nTHERE\n")
    first, second = (entry.fields for entry in read_manifest(listed))
    assert (first["text"], second["text"], first["phones"]) == ("HI YOU", "THERE", "HH AY")
    put(tmp_path, "train.wrd", "HI YOU\n")
    with pytest.raises(ManifestError, match="has 1 lines, and .* lists 2 recordings"):
        read_manifest(listed)


def test_a_table_of_hugging_face_holds_the_recordings(tmp_path: Path) -> None:
    rows = [
        {"audio": {"bytes": b"RIFF", "path": "a.wav"}, "label": 3},
        {"audio": {"bytes": b"fLaC", "path": None}, "label": 4},
        {"audio": {"bytes": None, "path": "there/c.wav"}, "label": 5},
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    first, second, third = read_manifest(tmp_path / "t.parquet")
    assert first == ManifestEntry(tmp_path / "a.wav", None, {"label": 3}, data=b"RIFF")
    assert (second.audio, second.path.name, second.fields) == (b"fLaC", "t_parquet_row_2", {"label": 4})
    assert third == ManifestEntry(tmp_path / "there/c.wav", None, {"label": 5})


def test_the_list_of_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "metadata.csv", "file_name,label\na.wav,dog\n")
    assert read_manifest(tmp_path) == [ManifestEntry(tmp_path / "a.wav", None, {"label": "dog"})]
    put(tmp_path, "wav.scp", "one b.wav\n")
    with pytest.raises(ManifestError, match=r"several lists of recordings: wav\.scp, metadata\.csv"):
        read_manifest(tmp_path)
    put(tmp_path, "manifest.jsonl", '{"path": "c.wav"}\n')
    assert read_manifest(tmp_path) == [ManifestEntry(tmp_path / "c.wav")]


def test_names_of_lists() -> None:
    assert all(is_manifest(Path(f"x{ending}")) for ending in OTHER_LISTS)
    assert not any(is_manifest(Path(name)) for name in ("a.wav", "a.flac", "talk", "a.mp4"))


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"path": "a.wav", "duration": NaN, "start": NaN, "text": NaN, "speaker": "nan"}\n'
    )
    (entry,) = read_manifest(tmp_path / "a.jsonl")
    assert (entry.duration, entry.segment) == (None, None)
    assert entry.fields == {"text": None, "speaker": "nan"}
