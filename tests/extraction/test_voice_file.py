"""Enrolled people on disk: what was told to be enrolled is there, whatever happens to the process."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError, MeasurementError, RecordingEnrolled, UnknownName
from sonant.extraction.voice_file import VoiceFile
from sonant.extraction.voice_samples import VoiceSample

ENROLLING = """
import sys
import numpy as np
from sonant.extraction.voice_file import VoiceFile
from sonant.extraction.voice_samples import VoiceSample

file = VoiceFile(sys.argv[1])
before = sum(len(person.recordings) for person in file.people())
for number in range(10**6):
    file.add(f"person {number % 7}", [VoiceSample(np.ones(4, np.float32), 3.0 + before + number, None)])
    print(number, flush=True)
"""


def sample(*numbers: float) -> VoiceSample:
    return VoiceSample(np.array(numbers, np.float32), 3.0, None)


@pytest.fixture
def file(tmp_path: Path) -> VoiceFile:
    file = VoiceFile(tmp_path / "people.voices", "model a", name="a")
    file.add("Ada", [sample(1, 2), sample(3, 4)])
    file.add("Grace", [sample(5, 6)])
    return file


def told(file: VoiceFile) -> dict[str, list[list[float]]]:
    return {person.name: [recording.vector.tolist() for recording in person.recordings] for person in file.people()}


def test_people_are_there_when_the_file_is_opened_again(file: VoiceFile) -> None:
    again = VoiceFile(file.path)
    assert told(again) == {"Ada": [[1, 2], [3, 4]], "Grace": [[5, 6]]}
    assert (again.model, again.model_name) == ("model a", "a")
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_another_model_is_refused(file: VoiceFile) -> None:
    with pytest.raises(ConfigurationError, match="cannot be compared"):
        VoiceFile(file.path, "model b", name="b")
    with pytest.raises(ConfigurationError, match="no file of voices"):
        VoiceFile(file.path.with_name("other.voices"))


def test_people_are_renamed_merged_and_forgotten(file: VoiceFile) -> None:
    (before, _) = file.people()
    file.rename("Ada", "Ada Lovelace")
    assert file.people()[0].id == before.id
    with pytest.raises(ConfigurationError, match="merge"):
        file.rename("Grace", "Ada Lovelace")
    file.merge("Grace", "Ada Lovelace")
    file.merge("Ada Lovelace", "Ada Lovelace")
    assert told(file) == {"Ada Lovelace": [[1, 2], [3, 4], [5, 6]]}
    file.forget("Ada Lovelace")
    assert told(file) == {}
    for verb in (lambda: file.forget("Ada"), lambda: file.rename("Ada", "B"), lambda: file.merge("Ada", "B")):
        with pytest.raises(UnknownName):
            verb()


def test_one_recording_is_forgotten_and_its_person_with_the_last(file: VoiceFile) -> None:
    ada, grace = file.people()
    first, second = (recording.id for recording in ada.recordings)
    file.forget("Ada", first)
    assert told(file) == {"Ada": [[3, 4]], "Grace": [[5, 6]]}
    for recording in (first, grace.recordings[0].id):
        with pytest.raises(UnknownName, match="recording of Ada"):
            file.forget("Ada", recording)
    file.forget("Ada", second)
    assert told(file) == {"Grace": [[5, 6]]}
    with pytest.raises(UnknownName):
        file.forget("Ada")


def test_nothing_of_the_forgotten_stays_in_the_file(file: VoiceFile) -> None:
    file.add("Zebedee", [sample(*range(1, 65))])
    trace = np.arange(1, 65, dtype="<f4").tobytes()
    assert trace in file.path.read_bytes()
    file.forget("Zebedee")
    assert trace not in file.path.read_bytes()
    assert b"Zebedee" not in file.path.read_bytes()


def test_a_vector_that_is_refused_leaves_nothing(file: VoiceFile) -> None:
    with pytest.raises(MeasurementError):
        file.add("Mallory", [sample(1, 2), sample(0, 0)])
    assert "Mallory" not in told(file)


def test_a_calibration_is_kept(file: VoiceFile) -> None:
    assert file.calibration is None
    file.calibration = calibration = VoiceCalibration((0.5,), "here", 2.0, -1.0)
    assert VoiceFile(file.path).calibration == calibration


def test_the_same_recording_counts_once(file: VoiceFile) -> None:
    (first, _) = file.people()[0].recordings
    again = file.add("Ada", [sample(1.001, 2), sample(7, -8), sample(7, -8)])
    assert again.repeated == (first.id, *again.added)
    assert told(file)["Ada"] == [[1, 2], [3, 4], [7, -8]]
    with pytest.raises(RecordingEnrolled, match="'Ada'"):
        file.add("Grace", [sample(9, 1), sample(1, 2)])
    with pytest.raises(RecordingEnrolled):
        file.add("Eve", [sample(1, 2)])
    assert list(told(file)) == ["Ada", "Grace"]
    assert told(file)["Grace"] == [[5, 6]]
    other = VoiceSample(np.array([1, 2], np.float32), 3.02, None)  # as similar, but with more speech
    assert file.add("Grace", [other]).repeated == ()


def test_no_file_is_made_before_someone_is_enrolled(tmp_path: Path) -> None:
    file = VoiceFile(tmp_path / "new/people.voices", "model a")
    assert file.people() == []
    assert file.calibration is None
    for change in (lambda: file.forget("Ada"), lambda: file.rename("Ada", "B"), lambda: file.merge("Ada", "B")):
        with pytest.raises(UnknownName):
            change()
    assert list(tmp_path.iterdir()) == []
    VoiceFile(file.path, "model b").add("Ada", [sample(1, 2)])
    with pytest.raises(ConfigurationError, match="cannot be compared"):
        file.add("Grace", [sample(1, 2)])
    assert list(told(VoiceFile(file.path))) == ["Ada"]


def test_a_place_for_no_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "song.flac").touch()
    with pytest.raises(ConfigurationError, match="song.flac is no folder"):
        VoiceFile(tmp_path / "song.flac/below/people.voices", "model a")


def test_what_is_no_file_of_voices_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    path.write_bytes(b"fLaC" * 1000)
    with pytest.raises(ConfigurationError, match="song.flac"):
        VoiceFile(path, "model a")
    assert path.read_bytes() == b"fLaC" * 1000


def test_reading_does_not_wait_for_a_change(file: VoiceFile) -> None:
    with file._transaction(writes=True):
        assert [person.name for person in VoiceFile(file.path, "model a").people()] == ["Ada", "Grace"]


def test_a_file_that_cannot_be_changed_is_read(file: VoiceFile, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )
    assert [person.name for person in VoiceFile(file.path, "model a").people()] == ["Ada", "Grace"]
    with pytest.raises(ConfigurationError, match="may this user read and change it"):
        file.forget("Ada")


def test_enrollments_at_once_are_all_kept(file: VoiceFile) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda number: VoiceFile(file.path).add("Crowd", [sample(np.cos(number), np.sin(number))]), range(20)
            )
        )
    assert sorted(first for first, _ in told(file)["Crowd"]) == pytest.approx(sorted(np.cos(range(20))))


@pytest.mark.slow
def test_kill_9_loses_no_enrollment(tmp_path: Path) -> None:
    path = tmp_path / "people.voices"
    VoiceFile(path, "model a").add("person 0", [sample(1, 2)])
    kept = 1
    for seconds in (0.3, 0.7):
        process = subprocess.Popen(
            [sys.executable, "-c", ENROLLING, str(path)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline()
        threading.Timer(seconds, process.kill).start()
        answered = [line for line in (first, *process.stdout) if line.endswith("\n")]
        assert process.wait() == -9
        people = VoiceFile(path).people()
        recordings = sum(len(person.recordings) for person in people)
        assert kept + len(answered) <= recordings <= kept + len(answered) + 1  # one may be done but not told
        kept = recordings
    assert kept > 10
