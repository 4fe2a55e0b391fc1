import io
import json
import os
import socket
import threading
from functools import partial
from pathlib import Path

import pytest

from sonant.errors import AudioNotFound, ConfigurationError, ManifestError, UndecodableAudio
from sonant.extraction import inputs
from sonant.extraction.names import key_of
from sonant.extraction.sources import AudioSource
from sonant.extraction.special_files import Unusable

gather = partial(inputs.gather, sampling_rate=16_000)
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_is_searched_through_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a/z.FLAC", "a/y.m4a", "notes.txt", ".hidden.wav", ".git/x.wav", "out/c.wav")
    entries = gather(tmp_path, leave_out=tmp_path / "out")
    assert [entry.label for entry in entries] == ["a/y.m4a", "a/z.FLAC", "b.wav"]
    assert entries[0].audio == tmp_path / "a/y.m4a"


def test_a_folder_without_audio_says_what_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(AudioNotFound, match=r"\.flac"):
        gather(tmp_path)


def test_a_manifest_names_recordings_beside_it(tmp_path: Path) -> None:
    lines = [{"path": "b.wav", "duration": 2.5, "text": "hello"}, {"path": "a/c.wav"}, {"path": "/else/d.wav"}]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    entries = gather(manifest)
    assert [entry.label for entry in entries] == ["b.wav", "a/c.wav", "/else/d.wav"]
    assert [entry.known_seconds for entry in entries] == [2.5, None, None]
    assert entries[0].audio == tmp_path / "b.wav"


def test_lists_of_other_formats_are_no_recordings(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "deep/b.wav")
    (tmp_path / "list.csv").write_text("path,duration\na.wav,2.5\ndeep/b.wav,\n")
    (tmp_path / "wav.scp").write_text("one a.wav\ntwo deep/b.wav\n")
    for name, seconds in (("list.csv", [2.5, None]), ("wav.scp", [None, None])):
        entries = gather(tmp_path / name)
        assert [entry.label for entry in entries] == ["a.wav", "deep/b.wav"]
        assert [entry.known_seconds for entry in entries] == seconds
    for name in ("list.txt", "list.m3u", "list.xlsx"):
        touch(tmp_path, name)
        with pytest.raises(ManifestError, match=r"no list of recordings.*\.csv"):
            gather(tmp_path / name)


def test_a_recording_named_twice_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"path": "a.wav"}\n{"path": "a.wav"}\n')
    with pytest.raises(ManifestError, match=r"'a\.wav'"):
        gather(manifest)


def test_segments_and_channels_of_a_manifest_are_entries_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,start,end,channel\na.wav,0.5,2,\na.wav,0.5,2,1\na.wav,3,,\na.wav,,,\n")
    entries = gather(tmp_path / "list.csv")
    assert [entry.facts for entry in entries] == [
        {"path": "a.wav", "offset": 0.5, "duration": 1.5},
        {"path": "a.wav", "channel": 1, "offset": 0.5, "duration": 1.5},
        {"path": "a.wav", "offset": 3.0},
        {"path": "a.wav"},
    ]
    assert len({entry.key for entry in entries}) == 4
    assert [entry.key for entry in entries] == [key_of(entry.facts) for entry in entries]
    names = ["a.0.5-2s.wav", "a.channel1.0.5-2s.wav", "a.3-s.wav", "a.wav"]
    assert [entry.file_name for entry in entries] == names
    assert entries[0].name == "a.wav, 0.5 to 2 s"
    with pytest.raises(ConfigurationError, match=r"channel=0 was given, and the manifest itself names channels"):
        gather(tmp_path / "list.csv", channel=0)
    with (tmp_path / "list.csv").open("a") as file:
        file.write("a.wav,0.5,2.0,1\n")
    with pytest.raises(ManifestError, match=r"1 recordings more than once.*'a\.wav, 0\.5 to 2 s'"):
        gather(tmp_path / "list.csv")


def test_a_folder_of_lists_without_audio_is_read_by_its_list(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("one /else/a.wav\n")
    assert [entry.label for entry in gather(tmp_path)] == ["/else/a.wav"]
    touch(tmp_path, "b.wav")
    assert [entry.label for entry in gather(tmp_path)] == ["b.wav"]


def test_bytes_come_from_standard_input() -> None:
    (entry,) = gather("-", stdin=io.BytesIO(b"RIFF"))
    assert (entry.label, entry.audio) == ("stdin", b"RIFF")


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFound, match="nowhere"):
        gather(tmp_path / "nowhere")


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    """Each of these would stop the job, or hang it, if it were opened."""
    touch(tmp_path, "good.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.wav"))
        entries = {entry.label: entry.audio for entry in gather(tmp_path)}
    assert entries.pop("good.wav") == tmp_path / "good.wav"
    kinds = {"pipe.wav": "a named pipe", "device.wav": "a device", "socket.wav": "a socket"}
    assert entries.keys() == kinds.keys()
    for name, audio in entries.items():
        assert isinstance(audio, Unusable)
        source = AudioSource(audio, 16_000)
        for ask in (source.seconds, source.read, lambda source=source: next(source.blocks())):
            with pytest.raises(UndecodableAudio, match=kinds[name]):
                ask()


def test_a_manifest_may_name_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "list.jsonl").write_text('{"path": "pipe.wav", "duration": 2.0}\n{"path": "a\\u0000b.wav"}\n')
    pipe, odd = gather(tmp_path / "list.jsonl")
    assert isinstance(pipe.audio, Unusable)
    assert odd.audio == tmp_path / "a\0b.wav"


def test_a_pipe_that_is_named_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"RIFF",))
    writer.start()
    (entry,) = gather(tmp_path / "pipe")
    writer.join()
    assert (entry.label, entry.audio) == ("pipe", b"RIFF")


def test_a_device_that_is_named_is_refused() -> None:
    with pytest.raises(UndecodableAudio, match="a device"):
        gather("/dev/zero")


@not_root
def test_a_folder_that_may_not_be_listed_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "good.wav", "shut/in.wav")
    (tmp_path / "shut").chmod(0)
    good, shut = gather(tmp_path)
    assert (good.label, shut.label) == ("good.wav", "shut")
    assert "Permission denied" in str(shut.audio.error)
    with pytest.raises(AudioNotFound, match="Permission denied"):
        gather(tmp_path / "shut")
    (tmp_path / "shut").chmod(0o700)


def test_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    (entry,) = gather(tmp_path)
    assert entry.label == r"caf\xe9.wav"
    assert os.fsencode(entry.audio) == path
    (tmp_path / "list.jsonl").write_text(json.dumps({"path": os.fsdecode(b"caf\xe9.wav")}))
    assert gather(tmp_path / "list.jsonl") == [entry]


def test_stamps_notice_a_change(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (before,) = gather(tmp_path)
    assert [before] == gather(tmp_path) == gather(tmp_path / "a.wav")
    os.utime(tmp_path / "a.wav", ns=(1, 1))
    (after,) = gather(tmp_path)
    assert after.stamp == {"source_bytes": 0, "source_mtime_ns": 1}
    assert before.stamp != after.stamp
    one, other = (gather("-", stdin=io.BytesIO(data))[0].stamp for data in (b"RIFX", b"RIFF"))
    assert one != other
