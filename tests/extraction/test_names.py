import json
import os
import re
from pathlib import PurePath
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import one_line
from sonant.extraction.names import NAME_BYTES, PATH_BYTES, as_json, complaint, output_names, readable_name


def original(name: str) -> bytes:
    """What docs/embedding.md says gives the bytes of a file name back."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), name.encode())


@given(st.binary() | st.lists(st.sampled_from([b"\\", b"x", b"5c", b"\xe9", "é".encode(), b"\n"])).map(b"".join))
def test_names_are_told_from_what_is_written(name: bytes) -> None:
    written = readable_name(os.fsdecode(name))
    assert original(written) == name
    line = one_line(written)
    assert original(line) == name
    assert len(f"{line}\t".splitlines()) == 1


@pytest.mark.parametrize("name", ["a.wav", "a b'\"\n.wav", "🎤 é.wav", "-x.wav", "a%20b.wav", r"C:\new\talk.wav"])
def test_ordinary_names_stay(name: str) -> None:
    assert readable_name(name) == name


def test_json_is_utf_8_whatever_stands_in_it() -> None:
    text = as_json({"message": os.fsdecode(b"caf\xe9"), "other": "\ud83d"})
    assert json.loads(text.encode()) == {"message": r"caf\xe9", "other": r"\ud83d"}


@pytest.mark.parametrize(
    ("name", "message", "line"),
    [
        ("a.wav", "in/a.wav: not audio: it is text", "in/a.wav: not audio: it is text"),
        ("a.wav", "'in/a.wav' is a named pipe", "'in/a.wav' is a named pipe"),
        ("a.wav", "States are not finite: see a.wav", "a.wav: States are not finite: see a.wav"),
        ("a.wav", "in/aa.wav: not audio", "a.wav: in/aa.wav: not audio"),
        ("a.wav", "two\nlines", "a.wav: two\\x0alines"),
    ],
)
def test_a_complaint_names_its_recording_once(name: str, message: str, line: str) -> None:
    assert complaint(name, ValueError(message)) == complaint(name, message) == line


def test_outputs_mirror_inputs_never_collide_and_stay_inside() -> None:
    names = ["a/x.wav", "b/x.wav", "b/X.mp3", "../up.wav", "/abs/y.wav", "v1.2", "", ".", "c/.wav", "d/z."]
    made = output_names(names, "npy")
    assert made[:6] == ["a/x.npy", "b/x.wav.npy", "b/X.mp3.npy", "__/up.npy", "abs/y.npy", "v1.npy"]
    assert made[8:] == ["c/.wav.npy", "d/z..npy"]


@pytest.mark.parametrize(
    "names",
    [
        ["a.wav", "a.mp3", "a.wav.flac"],
        ["../up.wav", "__/up.wav"],
        ["/abs/y.wav", "abs/y.wav"],
        ["x.wav", "X.wav", "straße.wav", "STRASSE.wav"],
        ["\u00e9.wav", "e\u0301.wav"],
        ["a.wav", "a.npy/b.wav"],
        ["n" * 251 + ".wav", "n" * 252 + ".wav"],
        ["", ".", "_"],
        ["x.wav", "X.wav", *(f"{name.split('.npy')[0]}.wav" for name in output_names(["x.wav", "X.wav"], "npy"))],
    ],
    ids=lambda names: names[0][:8],
)
def test_no_two_recordings_share_a_file(names: list[str]) -> None:
    made = output_names(names, "npy")
    assert len({normalize("NFC", name.casefold()) for name in made}) == len(names)
    folders = {str(folder) for name in made for folder in PurePath(name).parents}
    assert not folders & set(made)
    assert sorted(output_names(names[::-1], "npy")) == sorted(made)


def test_files_of_others_are_not_taken() -> None:
    (made,) = output_names(["a.mp3"], "npy", taken=["A.npy"])
    assert made != "a.npy"
    assert output_names(["a.mp3"], "npy", taken=["b.npy"]) == ["a.npy"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), max_size=300), max_size=9))
def test_a_file_system_takes_every_output(parts: list[str]) -> None:
    (made,) = output_names(["/".join(parts)], "safetensors")
    assert len(made.encode()) <= PATH_BYTES + NAME_BYTES
    assert all(0 < len(os.fsencode(part)) <= NAME_BYTES for part in made.split("/"))
    assert ".." not in made.split("/")


def test_a_name_that_is_cut_is_still_its_own() -> None:
    names = [f"{'é' * 140}{i}.wav" for i in range(3)]
    made = output_names(names, "npy")
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"é+~[0-9a-f]{16}\.npy", name) for name in made)
