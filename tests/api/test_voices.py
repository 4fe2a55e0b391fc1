"""People enrolled from recordings, with the shipped model and with an x-vector head of random weights."""

from pathlib import Path

import numpy as np
import pytest

import sonant
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError, MeasurementError, NonFiniteAudio, NoSpeech, SeveralVoices, TooLittleSpeech
from tests.heads import XVECTOR_DIM, write_xvector

SPEECH = Path(__file__).parent.parent.parent / "examples/speech"
ALLISON = [str(SPEECH / f"{name}.flac") for name in ("en-allison-busy", "en-allison-welcome", "es-allison-away")]
CARLO = [str(SPEECH / f"it-carlo-{name}.flac") for name in ("busy", "queue")]
RATE = 16_000
OPEN = VoiceCalibration((0.0,), "Set in this test.", 5.0, 0.0)


@pytest.fixture(scope="module")
def encoder() -> sonant.SpeechEncoder:
    return sonant.load("sonant/wavlm-tiny")


@pytest.fixture
def voices(encoder: sonant.SpeechEncoder, tmp_path: Path) -> sonant.Voices:
    voices = sonant.Voices(tmp_path / "people.voices", encoder)
    voices.enroll("Allison", ALLISON[:2])
    voices.enroll("Carlo", CARLO[0])
    return voices


def test_voices_are_found_by_another_process(voices: sonant.Voices, tmp_path: Path) -> None:
    again = sonant.Voices(tmp_path / "people.voices")
    assert again.identify(ALLISON[2]).matches[0].name == "Allison"
    assert [found.matches[0].name for found in again.identify([CARLO[1], ALLISON[0]])] == ["Carlo", "Allison"]
    assert again.export() == voices.export()
    assert again.identify(ALLISON[0]).matches[0].score > again.identify(ALLISON[2]).matches[0].score


def test_a_sample_is_of_the_speech_alone(encoder: sonant.SpeechEncoder) -> None:
    speech = sonant.audio.read(ALLISON[0])
    quiet = np.zeros(5 * RATE, np.float32)
    alone, padded = encoder.voice_samples([speech, np.concatenate([quiet, speech, quiet])])
    cosine = encoder.similarity(alone.vector, padded.vector)
    assert cosine > 0.98  # norms of the model depend on the whole recording
    assert padded.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.3)
    whole = encoder.encode(np.concatenate([quiet, speech, quiet]), task="speaker")
    assert encoder.similarity(alone.vector, whole) < cosine


def test_recordings_that_would_spoil_the_store_are_refused(voices: sonant.Voices) -> None:
    speech = sonant.audio.read(ALLISON[0])
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) / 10
    for audio, error in (
        (speech[: round(1.5 * RATE)], TooLittleSpeech),
        (np.concatenate([noise, np.zeros(20 * RATE, np.float32)]), TooLittleSpeech),
        (np.zeros(5 * RATE, np.float32), NoSpeech),
        (np.full(5 * RATE, np.nan, np.float32), NonFiniteAudio),
    ):
        with pytest.raises(error):
            voices.enroll("Mallory", [ALLISON[0], audio])
    click = np.zeros(RATE, np.float32)
    click[RATE // 2 : RATE // 2 + 500] = 0.5
    with pytest.raises(NoSpeech, match="silent, too short, or has clicks alone"):
        voices.enroll("Mallory", click)
    assert [person.name for person in voices.people] == ["Allison", "Carlo"]


def test_several_voices_are_refused_where_that_was_calibrated(voices: sonant.Voices) -> None:
    both = np.concatenate([sonant.audio.read(path) for path in (ALLISON[0], CARLO[0])])
    (one, two) = voices.encoder.voice_samples([ALLISON[0], both])
    assert one.unity(None) > two.unity(None)
    between = (one.unity(None) + two.unity(None)) / 2
    voices._file.calibration = VoiceCalibration((0.0,), "", 5.0, 0.0, least_unity=between)
    voices.enroll("Allison", ALLISON[0])
    with pytest.raises(SeveralVoices, match="Cut out"):
        voices.enroll("Both", both)


def test_a_store_refuses_another_model(voices: sonant.Voices, tmp_path: Path) -> None:
    other = sonant.load(write_xvector(tmp_path / "model"))
    with pytest.raises(ConfigurationError, match="cannot be compared"):
        sonant.Voices(tmp_path / "people.voices", other)
    with pytest.raises(ConfigurationError, match="another model"):
        other.diarize(ALLISON[0], num_speakers=1, voices=voices)
    again = sonant.load(write_xvector(tmp_path / "again", seed=1))
    assert other.voice_fingerprint != again.voice_fingerprint


def test_heads_give_their_own_vectors(tmp_path: Path) -> None:
    other = sonant.load(write_xvector(tmp_path / "model"))
    voices = sonant.Voices(tmp_path / "people.voices", other)
    assert voices.enroll("Allison", ALLISON[0]).person.recordings[0].vector.shape == (XVECTOR_DIM,)
    found = voices.identify(ALLISON[0])
    assert found.person is found.threshold is None  # no one has calibrated these weights
    assert found.matches[0].score == pytest.approx(1.0)
    speech = sonant.audio.read(ALLISON[0])
    tail = np.concatenate([speech, np.zeros(RATE, np.float32)])
    before = other.speaker_vectors(tail)
    other.heads["xvector"].embedding.weight.data.mul_(2)
    assert other.voice_fingerprint != voices._file.model
    assert not np.allclose(before, other.speaker_vectors(tail))


def test_a_saved_model_keeps_its_calibration(tmp_path: Path) -> None:
    encoder = sonant.load(write_xvector(tmp_path / "model"))
    encoder.save_pretrained(tmp_path / "uncalibrated")
    assert not (tmp_path / "uncalibrated" / "voices.json").exists()
    encoder.voice_calibration = VoiceCalibration((0.5,), "this test", 5.0, -1.0)
    encoder.save_pretrained(tmp_path / "copy")
    sonant.load(tmp_path / "copy").save_pretrained(tmp_path / "again")
    assert sonant.load(tmp_path / "again").voice_calibration == encoder.voice_calibration


def test_diarization_names_who_is_enrolled(voices: sonant.Voices) -> None:
    both = np.concatenate([sonant.audio.read(path) for path in (CARLO[1], ALLISON[2])])
    plain = voices.encoder.diarize(both, num_speakers=2)
    voices._file.calibration = OPEN
    named = voices.encoder.diarize(both, num_speakers=2, voices=voices)
    assert (named[0].speaker, named[-1].speaker) == ("Carlo", "Allison")
    assert [(turn.start_seconds, turn.end_seconds) for turn in named] == [
        (turn.start_seconds, turn.end_seconds) for turn in plain
    ]
    voices._file.calibration = VoiceCalibration((1.0,), "nobody is similar enough", 5.0, 0.0)
    assert voices.encoder.diarize(both, num_speakers=2, voices=voices) == plain


def test_turns_in_files_follow_the_voices(voices: sonant.Voices, tmp_path: Path) -> None:
    out = tmp_path / "out.rttm"
    voices._file.calibration = OPEN
    voices.rename("Carlo", "Carlo Bianchi")
    voices.encoder.write_turns(CARLO[1], out, num_speakers=1, voices=voices)
    assert {line.split()[7] for line in out.read_text().splitlines()} == {"Carlo_Bianchi"}
    voices.forget("Carlo Bianchi")
    voices.encoder.write_turns(CARLO[1], tmp_path / "other.rttm", num_speakers=1, voices=voices)
    assert "Carlo" not in (tmp_path / "other.rttm").read_text()


def test_a_file_is_calibrated_by_its_owner(voices: sonant.Voices) -> None:
    recordings = [sonant.audio.read(path) for path in (*ALLISON, *CARLO)]
    pieces = [piece for audio in recordings for piece in np.array_split(audio, max(2, len(audio) // (2 * RATE)))]
    names = [
        name for name, audio in zip(["Allison"] * 3 + ["Carlo"] * 2, recordings, strict=True)
        for _ in np.array_split(audio, max(2, len(audio) // (2 * RATE)))
    ]  # fmt: skip
    calibration = voices.calibrate(pieces, names, false_accept=0.2, data="this test")
    assert voices.calibration == calibration
    assert "this test" in voices.identify(ALLISON[0]).basis
    with pytest.raises(MeasurementError):
        voices.calibrate(pieces[:3], names[:3])
    with pytest.raises(ConfigurationError):
        voices.calibrate(pieces, names[:3])
