"""Transcripts and speakers: a batch answers as each alone, windows nearly as the whole, errors say what to do."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import sonant
from sonant import audio
from sonant.api import SpeechEncoder
from sonant.checkpoints import load_checkpoint, make_backbone, save_checkpoint
from sonant.decoding.subtitles import segments
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.decoding.within_class import unit_vectors
from sonant.errors import CheckpointError, ConfigurationError, ModelWarning, TooShortAudio, UnknownName
from sonant.evaluation import diarization_error
from sonant.extraction.voice_calibrations import write_calibration
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2Config, Wav2Vec2Config
from sonant.models.catalog import CATALOG
from tests.heads import (
    LABELS,
    PHONEMES,
    XVECTOR_DIM,
    write_classifier,
    write_ctc,
    write_frame_classifier,
    write_xvector,
)
from tests.shapes import SMALL

RATE = 16_000
SPEECH = Path(__file__).parent.parent.parent / "examples/speech"


def speech(name: str, seconds: float | None = None) -> np.ndarray:
    samples = audio.read(SPEECH / f"{name}.flac", sampling_rate=RATE)
    return samples if seconds is None else samples[: round(seconds * RATE)]


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [speech("fr-june-busy", 3.0), speech("it-carlo-queue", 1.7), speech("en-allison-welcome", 0.6)]


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> SpeechEncoder:
    return sonant.load(write_ctc(tmp_path_factory.mktemp("ctc")))


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> SpeechEncoder:
    return sonant.load(write_xvector(tmp_path_factory.mktemp("xvector")))


@pytest.fixture(scope="module")
def diarizer(tmp_path_factory: pytest.TempPathFactory) -> SpeechEncoder:
    return sonant.load(write_frame_classifier(tmp_path_factory.mktemp("frames")))


def test_abilities(recognizer: SpeechEncoder, verifier: SpeechEncoder, diarizer: SpeechEncoder) -> None:
    assert recognizer.abilities == ("embeddings", "transcription")
    assert verifier.abilities == ("embeddings", "verification")
    assert diarizer.abilities == ("embeddings", "diarization")
    assert CATALOG["facebook/wav2vec2-base-960h"].abilities == ("embeddings", "transcription")
    assert CATALOG["microsoft/wavlm-base-plus-sv"].abilities == ("embeddings", "verification")
    assert CATALOG["microsoft/wavlm-base-sd"].abilities == ("embeddings", "diarization")
    assert CATALOG["sonant/wavlm-tiny"].abilities == ("embeddings",)
    fine_tuned = [card for card in CATALOG.values() if card.labels]
    assert all(len(card.abilities) == 2 for card in fine_tuned)


def test_a_batch_answers_as_each_alone(
    recognizer: SpeechEncoder, verifier: SpeechEncoder, diarizer: SpeechEncoder, clips: list[np.ndarray]
) -> None:
    assert [t.text for t in recognizer.transcribe(clips)] == [recognizer.transcribe(clip).text for clip in clips]
    vectors = verifier.speaker_vectors(clips)
    assert [vector.shape for vector in vectors] == [(XVECTOR_DIM,)] * 3
    for vector, clip in zip(vectors, clips, strict=True):
        np.testing.assert_allclose(vector, verifier.speaker_vectors(clip), atol=1e-5)
    assert diarizer.diarize(clips) == [diarizer.diarize(clip) for clip in clips]


def test_windows_answer_nearly_as_the_whole(recognizer: SpeechEncoder, verifier: SpeechEncoder) -> None:
    wave = speech("fr-june-busy")
    whole = recognizer.transcribe(wave)
    parts = recognizer.transcribe(wave, window_seconds=4, overlap_seconds=2)
    assert parts.duration_seconds == whole.duration_seconds == pytest.approx(len(wave) / RATE)
    assert parts.words[-1].end_seconds == pytest.approx(whole.words[-1].end_seconds, abs=0.1)
    alike = {(w.text, w.start_seconds) for w in whole.words} & {(w.text, w.start_seconds) for w in parts.words}
    assert len(alike) > 0.7 * len(whole.words)
    left, right = (verifier.speaker_vectors(wave, window_seconds=seconds) for seconds in (None, 4))
    assert np.linalg.norm(left - right) < 0.05 * np.linalg.norm(left)


def test_windows_only_move_the_input_of_a_head(verifier: SpeechEncoder) -> None:
    """The layers over time see across the cuts: of the same states, pieces of any length give the same vector."""
    task = verifier.head_pipeline("verification")
    states = torch.randn(len(task.layers), 300, verifier.dim, generator=torch.Generator().manual_seed(0))
    answers = []
    for sizes in ([300], [1, 2, 3, 94, 200], [5] * 60, [150, 150]):
        sink = task.make_sink(None)  # type: ignore[arg-type] - it asks nothing of the recording
        for piece in states.split(sizes, dim=1):
            sink.append(piece)
        answers.append(sink.finish())
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_windows_of_a_recording_are_pooled_as_one(pooling: str, tmp_path: Path) -> None:
    stored = load_checkpoint(write_classifier(tmp_path))
    stored.heads["speech_classification"].metadata.update(pooling_mode=pooling, problem_type="regression")
    encoder = SpeechEncoder(make_backbone(stored), heads=stored.heads)
    wave = speech("fr-june-busy", 5.0)
    for window_seconds in (None, 1.5):
        states = encoder.encode(wave, to="torch", window_seconds=window_seconds)
        expected = encoder.heads["speech_classification"](Packed.pack([states[:, None]]))[0]
        answer = encoder.classify(wave, window_seconds=window_seconds)
        assert answer == pytest.approx(dict(zip(LABELS, expected.tolist(), strict=True)), rel=1e-4, abs=1e-4)


def test_what_a_head_says_of_whole_recordings(tmp_path: Path, clips: list[np.ndarray]) -> None:
    encoder = sonant.load(write_classifier(tmp_path))
    assert encoder.abilities == ("embeddings", "classification")
    assert tuple(encoder.classify(clips[0])) == LABELS
    assert sonant.classify(clips[0], model=encoder) == encoder.classify(clips[0])
    stereo = np.stack([clips[0][:16_000], clips[1][:16_000]], axis=1)
    assert encoder.classify([(stereo, RATE)], channel="all") == [[encoder.classify(stereo[:, i]) for i in (0, 1)]]
    with pytest.warns(UserWarning, match="1 of 2 recordings"):
        assert encoder.classify([clips[0], clips[0][:10]], on_error="skip")[1] is None


def test_pairs_of_voices(verifier: SpeechEncoder, clips: list[np.ndarray]) -> None:
    one = verifier.verify(clips[0], clips[0])
    assert one.score == pytest.approx(1)
    assert one.threshold is one.same is one.probability is None  # no one has calibrated these weights
    several = verifier.verify(clips[:2], clips[1:], threshold=0.5)
    assert [answer.threshold for answer in several] == [0.5, 0.5]
    assert [answer.same for answer in several] == [answer.score >= 0.5 for answer in several]
    vectors = [sample.vector for sample in verifier.voice_samples(clips)]
    assert several[1].score == pytest.approx(
        float(np.prod(unit_vectors(np.stack(vectors[1:3])), axis=0).sum()), abs=1e-5
    )
    with pytest.raises(ConfigurationError, match="2 and 1 recordings were given"):
        verifier.verify(clips[:2], clips[:1])
    with pytest.raises(ConfigurationError, match="compared in pairs"):
        verifier.verify([clips[0]], clips[0])


def test_one_calibration_holds_wherever_voices_are_compared(tmp_path: Path, clips: list[np.ndarray]) -> None:
    """Beside the checkpoint it is used by itself; an assigned one comes first; that of other weights is told of."""
    encoder = sonant.load(write_xvector(tmp_path / "model"))
    mine = VoiceCalibration((0.3,), "mine", 5.0, 0.0)
    for place in (tmp_path / "model/voices.json", tmp_path / "elsewhere/voices.json"):
        write_calibration(place, "others", VoiceCalibration((0.1,), "others"))
        write_calibration(place, encoder.voice_fingerprint, mine)
    assert encoder.voice_calibration == mine
    found = encoder.verify(clips[0], clips[1])
    assert (found.threshold, found.basis) == (0.3, "mine")
    assert found.probability == pytest.approx(1 / (1 + np.exp(-5 * found.score)))
    voices = sonant.Voices(tmp_path / "people.voices", encoder)
    assert voices.calibration == mine
    encoder.heads["xvector"].embedding.weight.data.mul_(2)
    with pytest.warns(ModelWarning, match="no calibration for the present weights"):
        assert encoder.verify(clips[0], clips[1]).threshold is None
    with pytest.raises(ConfigurationError, match="no calibration for this model"):
        encoder.read_voice_calibration(tmp_path / "elsewhere/voices.json")
    encoder.voice_calibration = mine
    assert encoder.verify(clips[0], clips[1]).basis == "mine"
    with pytest.raises(ConfigurationError, match="cannot be read as calibrations"):
        encoder.read_voice_calibration(tmp_path / "model/config.json")


def test_what_is_too_short_for_a_head_is_told(verifier: SpeechEncoder) -> None:
    shortest = verifier.head_pipeline("verification").min_samples
    wave = speech("fr-june-busy")
    assert verifier.speaker_vectors(wave[:shortest]).shape == (XVECTOR_DIM,)
    with pytest.raises(TooShortAudio):
        verifier.speaker_vectors(wave[: shortest - 1])
    with pytest.raises(TooShortAudio):
        verifier.heads["xvector"](states_for(verifier, wave[: shortest - 320]))


def states_for(encoder: SpeechEncoder, wave: np.ndarray) -> Packed:
    """What the x-vector head of a model reads."""
    layers = list(encoder.head_pipeline("verification").layers)
    return Packed.pack([encoder.encode(wave, layer=layers, to="torch").transpose(0, 1)])


def test_unusable_recordings_are_told_of(recognizer: SpeechEncoder, clips: list[np.ndarray]) -> None:
    told: list[tuple[int, str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = recognizer.transcribe(
            [clips[0], b"no audio", clips[1]],
            on_error="skip",
            on_failure=lambda item, error: told.append((item, type(error).__name__)),
        )
    assert [result is None for result in results] == [False, True, False]
    assert told == [(1, "UndecodableAudio")]
    with pytest.warns(UserWarning, match="1 of 2 recordings could not be used") as caught:
        recognizer.transcribe([clips[0], b"no audio"], on_error="skip")
    assert caught[0].filename == __file__


def test_no_head_for_it(recognizer: SpeechEncoder, verifier: SpeechEncoder, clips: list[np.ndarray]) -> None:
    with pytest.raises(ConfigurationError, match=r"no head for it \(ctc or seq2seq\).*facebook/"):
        verifier.transcribe(clips[0])
    with pytest.raises(ConfigurationError, match=r"microsoft/wavlm-base-sv"):
        recognizer.speaker_vectors(clips[0])
    assert recognizer.verify(clips[0], clips[0]).score == pytest.approx(1)  # by the preset for speakers
    with pytest.raises(ConfigurationError, match=r"Give num_speakers\. .*microsoft/wavlm-base-sd"):
        recognizer.diarize(clips[0])
    with pytest.raises(ConfigurationError, match=r"num_speakers, or threshold"):
        verifier.diarize(clips[0])
    with pytest.raises(ConfigurationError, match="expected at least 1"):
        verifier.diarize(clips[0], num_speakers=0)
    with pytest.raises(UnknownName, match="ability"):
        recognizer.head_pipeline("embeddings")


def test_tokens_without_names(tmp_path: Path, clips: list[np.ndarray]) -> None:
    (write_ctc(tmp_path) / "vocab.json").unlink()
    encoder = sonant.load(tmp_path)
    assert encoder.abilities == ("embeddings",)
    with pytest.raises(CheckpointError, match=r"32 tokens, but nothing says what they are.*vocab\.json"):
        encoder.transcribe(clips[0])
    (tmp_path / "vocab.json").write_text(json.dumps({"deu": {"a": 0}, "fra": {"b": 0}}))
    with pytest.raises(CheckpointError, match=r"its vocab\.json holds vocabularies of 2 languages \(deu, fra\)"):
        sonant.load(tmp_path).transcribe(clips[0])


def test_a_vocabulary_of_another_head(tmp_path: Path, clips: list[np.ndarray]) -> None:
    checkpoint = load_checkpoint(write_ctc(tmp_path))
    head = checkpoint.heads["ctc"]
    head.metadata["vocabulary"].pop()
    save_checkpoint(tmp_path / "own", checkpoint, to="sonant")
    with pytest.raises(CheckpointError, match="head of 32 tokens, but its vocabulary has 31"):
        sonant.load(tmp_path / "own").transcribe(clips[0])


def test_chinese_has_no_spaces_and_times_for_each_character(tmp_path: Path, clips: list[np.ndarray]) -> None:
    vocabulary = ("<pad>", "<s>", "</s>", "<unk>", *"你好世界今天天气")
    transcript = sonant.load(write_ctc(tmp_path, vocabulary=vocabulary)).transcribe(clips[0])
    assert len(transcript.words) > 5
    assert transcript.text == "".join(word.text for word in transcript.words)
    assert {len(word.text) for word in transcript.words} == {1}
    assert "".join(segment.text for segment in segments(transcript.words)) == transcript.text


def test_phonemes(tmp_path: Path, clips: list[np.ndarray]) -> None:
    tokenizer = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "pad_token": "<pad>"}
    encoder = sonant.load(write_ctc(tmp_path, vocabulary=PHONEMES, tokenizer=tokenizer))
    transcript = encoder.transcribe(clips[0])
    assert {word.text for word in transcript.words} <= set(PHONEMES[4:])
    assert transcript.text == " ".join(word.text for word in transcript.words)


def test_heads_are_kept_when_saved(recognizer: SpeechEncoder, tmp_path: Path, clips: list[np.ndarray]) -> None:
    recognizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "vocab.json").read_text())["|"] == 4
    assert sonant.transcribe(clips[0], model=tmp_path) == recognizer.transcribe(clips[0])


def test_heads_stay_in_float32(tmp_path: Path, clips: list[np.ndarray]) -> None:
    encoder = sonant.load(write_xvector(tmp_path), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in encoder.heads["xvector"].parameters()} == {torch.float32}
    exact = sonant.load(tmp_path).speaker_vectors(clips[0])
    rough = encoder.speaker_vectors(clips[0])
    assert rough.dtype == np.float32
    assert np.linalg.norm(exact - rough) < 0.1 * np.linalg.norm(exact)


def test_windows_agree_on_who_is_who(diarizer: SpeechEncoder) -> None:
    """A head whose two outputs change places in every second window still tells of two consistent speakers."""
    task = diarizer.head_pipeline("diarization")
    wave = speech("fr-june-busy", 6)
    states = diarizer.encode(wave, layer=list(task.layers), to="torch")
    windowing = audio.Windowing(window_frames=100, overlap_frames=40)
    whole = task.make_sink(None)  # type: ignore[arg-type] - it asks nothing of the recording
    whole.append(states)
    cut = task.make_sink(None)  # type: ignore[arg-type]
    linear = diarizer.heads["frame_classification"].linear
    for number, window in enumerate(windowing.windows(len(wave))):
        order = [1, 0] if number % 2 else [0, 1]
        straight = linear.weight.data.clone(), linear.bias.data.clone()
        linear.weight.data, linear.bias.data = straight[0][order], straight[1][order]
        first = window.start_sample // 320
        cut.append_window(states[:, first : first + 100], window)
        linear.weight.data, linear.bias.data = straight
    assert cut.finish() == whole.finish()


@pytest.mark.parametrize("weighted", [True, False])
def test_diarization_reads_each_state_once(tmp_path: Path, weighted: bool) -> None:
    """The state of the voices comes along only if the head does not read it anyway."""
    layers = sonant.load(write_frame_classifier(tmp_path, weighted=weighted)).head_pipeline("diarization").layers
    assert len(set(layers)) == len(layers) == (SMALL["num_layers"] + 1 if weighted else 2)


@pytest.mark.parametrize("window_seconds", [60, pytest.param(12, marks=pytest.mark.slow)])
def test_two_voices_are_told_apart_without_a_head(window_seconds: float) -> None:
    names = ["it-carlo-busy", "ru-ivrvoice-queue", "it-carlo-queue", "ru-ivrvoice-busy"]
    waves = [speech(name) for name in names]
    edges = np.cumsum([0, *map(len, waves)]) / RATE
    reference = [
        sonant.SpeakerTurn(name[:2], start, end) for name, start, end in zip(names, edges, edges[1:], strict=False)
    ]
    found = sonant.diarize(
        np.concatenate(waves), model="sonant/wavlm-tiny", num_speakers=2, window_seconds=window_seconds
    )
    assert {turn.speaker for turn in found} == {"speaker_0", "speaker_1"}
    assert found[0].speaker == "speaker_0"
    error = diarization_error(reference, found, collar_seconds=0.25)
    assert error.confusion_seconds < 0.05 * error.speech_seconds
    assert error.rate < 0.1


def test_a_file_object_is_read_for_loudness_too(verifier: SpeechEncoder) -> None:
    """By another reader, in the middle of the windows."""
    path = SPEECH / "fr-june-busy.flac"
    with path.open("rb") as file:
        file.seek(100)
        found = verifier.diarize(file, num_speakers=2, window_seconds=2)
    assert found == verifier.diarize(path, num_speakers=2, window_seconds=2)


def test_silence_has_no_speakers(verifier: SpeechEncoder) -> None:
    assert verifier.diarize(np.zeros(3 * RATE, np.float32), num_speakers=2) == []


def test_an_x_vector_head_clusters_by_itself(verifier: SpeechEncoder) -> None:
    wave = speech("fr-june-busy")
    assert len({turn.speaker for turn in verifier.diarize(wave, threshold=-1.0)}) == 1
    assert len({turn.speaker for turn in verifier.diarize(wave, num_speakers=3)}) > 1


@pytest.mark.parametrize("family", ["wav2vec2", "w2v_bert2"])
def test_behind_an_adapter(tmp_path: Path, clips: list[np.ndarray], family: str) -> None:
    """The head for transcripts reads what the adapter gives, of a long recording as of a whole; others are refused."""
    conformer = {"dim": 32, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 48, "layerdrop": 0.0}
    config = (
        W2vBERT2Config(**conformer, conv_kernel=7, adapter_layers=1)
        if family == "w2v_bert2"
        else Wav2Vec2Config(**SMALL, adapter_layers=2)
    )
    encoder = sonant.load(write_ctc(tmp_path, config=config))
    assert [t.text for t in encoder.transcribe(clips)] == [encoder.transcribe(clip).text for clip in clips]
    wave = speech("fr-june-busy")
    whole = encoder.transcribe(wave, window_seconds=None)
    parts = encoder.transcribe(wave, window_seconds=4, overlap_seconds=2)
    assert len(whole.words) > 3
    assert parts.duration_seconds == whole.duration_seconds
    assert parts.words[-1].end_seconds == pytest.approx(whole.words[-1].end_seconds, abs=0.2)
    shortest = encoder.head_pipeline("transcription").min_samples
    encoder.transcribe(wave[:shortest])
    with pytest.raises(TooShortAudio):
        encoder.transcribe(wave[: shortest - 1])
    encoder = sonant.load(write_frame_classifier(tmp_path / "frames", config=config, weighted=False))
    with pytest.raises(ConfigurationError, match="what its adapter makes of the last state"):
        encoder.diarize(clips[0])
