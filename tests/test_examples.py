"""The recordings in examples/speech are what their manifest says, and may be given away."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant import audio

SPEECH = Path(__file__).parents[1] / "examples" / "speech"
RECORDINGS = [json.loads(line) for line in (SPEECH / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording["path"])


def test_manifest_and_folder_name_the_same_files():
    assert sorted(recording["path"] for recording in RECORDINGS) == sorted(path.name for path in SPEECH.glob("*.flac"))


def test_there_is_little_of_it():
    assert sum(path.stat().st_size for path in SPEECH.iterdir()) < 3_000_000


@each_recording
def test_recording_is_as_the_manifest_says(recording):
    info = soundfile.info(SPEECH / recording["path"])
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert recording["duration"] == audio.duration(SPEECH / recording["path"])
    assert 3 <= recording["duration"] <= 12
    assert recording["path"].startswith(f"{recording['language']}-{recording['speaker']}-")


@each_recording
def test_recording_is_speech_and_not_silence_or_a_tone(recording):
    samples = audio.read(SPEECH / recording["path"])
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)  # (frames, 20 ms)
    level = 10 * np.log10((frames**2).mean(1) + 1e-10)
    assert 0.2 < np.abs(samples).max() < 1, "neither silent nor clipped"
    assert np.std(level) > 6, "syllables and pauses: a tone's level hardly moves"
    assert np.mean(level > level.max() - 35) > 0.7, "mostly speech"


@each_recording
def test_text_has_a_plausible_length(recording):
    letters_a_second = len(recording["text"]) / recording["duration"]
    assert 9 < letters_a_second < 22


@each_recording
def test_license_and_credit_stand_in_the_notices(recording):
    copyright_text = (SPEECH / "COPYRIGHT").read_text(encoding="utf-8")
    readme = (SPEECH / "README.md").read_text(encoding="utf-8")
    name, address = recording["credit"].split(", ")
    assert f"License: {recording['license']}\n" in copyright_text
    assert name in copyright_text
    assert name in readme
    assert address in copyright_text
    assert address in readme


def test_one_speaker_is_heard_in_two_languages_among_four_speakers():
    languages = {}
    for recording in RECORDINGS:
        languages.setdefault(recording["speaker"], set()).add(recording["language"])
    assert languages == {"allison": {"en", "es"}, "june": {"fr"}, "carlo": {"it"}, "ivrvoice": {"ru"}}
