"""Transcripts by the real `openai` client: every format says what `transcribe` says."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest
from openai.types.audio import TranscriptionVerbose

import sonant
from sonant.decoding.results import SpeakerTurn, SpokenSlot, Transcript, Word
from sonant.decoding.subtitles import segments, srt, vtt
from sonant.server.errors import ApiError
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.transcript_formats import spoken, timed_slots
from sonant.server.routes.transcriptions import TranscriptionCall
from sonant.server.settings import Limits
from tests.server.running import RunningServer
from tests.server.speech import clip

DATA = clip("en-allison-welcome", 2.0)


@pytest.fixture(scope="module")
def client(heads_server: RunningServer) -> openai.OpenAI:
    return heads_server.client()


@pytest.fixture(scope="module")
def transcript(checkpoints: Path) -> Transcript:
    result: Transcript = sonant.load(checkpoints / "recognizer").transcribe(DATA)
    assert len(result.words) > 2, "the test needs some words"
    return result


def _create(client: openai.OpenAI, **how: Any) -> Any:
    return client.audio.transcriptions.create(model="recognizer", file=("speech.wav", io.BytesIO(DATA)), **how)


def test_json(client: openai.OpenAI, transcript: Transcript) -> None:
    answer = _create(client)
    assert answer.text == transcript.text
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == pytest.approx(transcript.duration_seconds)


def test_text_and_subtitles(client: openai.OpenAI, transcript: Transcript) -> None:
    found = segments(transcript.words)
    assert _create(client, response_format="text").strip() == transcript.text
    assert _create(client, response_format="srt") == srt(found)
    assert _create(client, response_format="vtt") == vtt(found)


@pytest.mark.parametrize("granularities", [None, ["word"], ["segment"], ["word", "segment"]], ids=str)
def test_verbose_json(client: openai.OpenAI, transcript: Transcript, granularities: list[str] | None) -> None:
    how = {} if granularities is None else {"timestamp_granularities": granularities}
    answer: TranscriptionVerbose = _create(client, response_format="verbose_json", language="en", **how)
    assert (answer.text, answer.language) == (transcript.text, "en")
    assert float(answer.duration) == pytest.approx(transcript.duration_seconds)
    wanted = granularities or ["segment"]
    assert (answer.words is not None) == ("word" in wanted)
    assert (answer.segments is not None) == ("segment" in wanted)
    if answer.words is not None:
        told = [(word.word, word.start, word.end) for word in answer.words]
        assert [word for word, _, _ in told] == [word.text for word in transcript.words]
        for (_, start, end), word in zip(told, transcript.words, strict=True):
            assert (start, end) == (
                pytest.approx(word.start_seconds, abs=1e-3),
                pytest.approx(word.end_seconds, abs=1e-3),
            )
    if answer.segments is not None:
        assert " ".join(segment.text for segment in answer.segments) == transcript.text
        assert all(segment.avg_logprob <= 0 and segment.start <= segment.end for segment in answer.segments)


def test_stream(client: openai.OpenAI, transcript: Transcript) -> None:
    events = list(_create(client, stream=True))
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"}
    assert "".join(event.delta for event in events[:-1]) == transcript.text
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == transcript.text
    assert events[-1].usage.type == "duration"


def test_what_a_ctc_model_cannot_use_is_taken_and_named(client: openai.OpenAI, transcript: Transcript) -> None:
    how: dict[str, Any] = {
        "prompt": "names: Allison",
        "temperature": 0.3,
        "chunking_strategy": {"type": "server_vad", "threshold": 0.5},
        "known_speaker_names": ["agent"],
        "extra_body": {"languages": ["en", "de"]},
    }
    for more in ({}, {"stream": True}):
        answer = client.audio.transcriptions.with_raw_response.create(
            model="recognizer", file=("speech.wav", io.BytesIO(DATA)), language="en", **how, **more
        )
        told = answer.headers.get_list("x-parameter-warning")
        names = ["prompt", "temperature", "chunking_strategy", "known_speaker_names", "language"]
        assert [one.partition(" is not used: ")[0] for one in told] == [*names, "languages"]
        if not more:
            assert answer.parse().text == transcript.text
    plain = client.audio.transcriptions.with_raw_response.create(model="recognizer", file=("a.wav", DATA))
    assert "x-parameter-warning" not in plain.headers


def test_keywords_and_alternatives(client: openai.OpenAI, checkpoints: Path) -> None:
    found = sonant.load(checkpoints / "recognizer").transcribe(DATA, hot_words=["Allison"], n_best=3)
    for how in ({}, {"response_format": "verbose_json"}):
        answer = _create(client, extra_body={"keywords": ["Allison"], "n_best": 3}, **how)
        assert answer.text == found.text
        assert [each["text"] for each in answer.alternatives] == [each.text for each in found.alternatives]
        assert answer.alternatives[0]["score"] == pytest.approx(found.alternatives[0].score, abs=1e-2)
        assert answer.alternatives[0]["lm_score"] is None
    *deltas, last = _create(client, extra_body={"n_best": 3}, stream=True)
    assert [delta.delta for delta in deltas] == [last.text]  # whole: a beam may change its mind until the end
    assert not hasattr(_create(client), "alternatives")


def test_log_probabilities_of_words(client: openai.OpenAI, transcript: Transcript) -> None:
    answer = _create(client, include=["logprobs"])
    assert "".join(token.token for token in answer.logprobs) == transcript.text
    assert all(bytes(map(int, token.bytes)).decode() == token.token and token.logprob <= 0 for token in answer.logprobs)
    *_, last = _create(client, include=["logprobs"], stream=True)
    assert [token.logprob for token in last.logprobs] == [token.logprob for token in answer.logprobs]


def test_diarized_json(client: openai.OpenAI, transcript: Transcript) -> None:
    answer = _create(client, response_format="diarized_json", extra_body={"num_speakers": 2})
    assert answer.text == transcript.text == " ".join(segment.text for segment in answer.segments)
    assert {segment.type for segment in answer.segments} == {"transcript.text.segment"}
    assert {segment.speaker for segment in answer.segments} <= {"speaker_0", "speaker_1"}
    assert [segment.start for segment in answer.segments] == sorted(segment.start for segment in answer.segments)
    events = list(_create(client, response_format="diarized_json", stream=True, extra_body={"num_speakers": 2}))
    told = [event for event in events if event.type == "transcript.text.segment"]
    assert [(one.text, one.speaker) for one in told] == [(one.text, one.speaker) for one in answer.segments]
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", transcript.text)


def test_words_go_to_who_speaks_longest_during_them() -> None:
    turns = [SpeakerTurn("speaker_0", 0.0, 1.0), SpeakerTurn("speaker_1", 0.9, 2.0)]
    times = [(0.0, 0.5), (0.6, 0.95), (0.8, 1.6), (1.7, 1.9), (2.5, 2.6)]
    words = [Word(f"w{number}", start, end, 1.0) for number, (start, end) in enumerate(times)]
    told = [(segment["speaker"], segment["text"]) for segment in spoken(words, turns)]
    assert told == [("speaker_0", "w0 w1"), ("speaker_1", "w2 w3 w4")]
    assert spoken(words[:1], [])[0]["speaker"] == "speaker_0"
    assert spoken([], turns) == []


def test_translations_are_refused_with_what_there_is_instead(client: openai.OpenAI) -> None:
    with (
        pytest.warns(DeprecationWarning, match="deprecated"),
        pytest.raises(openai.BadRequestError, match="/v1/audio/transcriptions") as refused,
    ):
        client.audio.translations.create(model="recognizer", file=("speech.wav", DATA))
    assert refused.value.code == "unsupported_endpoint"


@pytest.mark.parametrize("kind", ["json", "srt"])
def test_texts_without_times_and_translations_have_their_routes(kind: str) -> None:
    given = SimpleNamespace(include=None, response_format=kind, language=None, languages=[], num_speakers=None)
    encoder = SimpleNamespace(translates=True, has_word_times=False)
    model = SimpleNamespace(encoder=encoder, language=None, id="writer")
    call: Any = SimpleNamespace(parameters=given, translates=False, warnings=[])
    with pytest.raises(ApiError, match="/v1/audio/translations"):
        TranscriptionCall.check(call, model)  # type: ignore[arg-type]
    call.translates = True
    if kind == "json":
        TranscriptionCall.check(call, model)  # type: ignore[arg-type]
    else:
        with pytest.raises(ApiError, match="take json or text"):
            TranscriptionCall.check(call, model)  # type: ignore[arg-type]
    given.include = ["logprobs"]
    with pytest.raises(ApiError, match=r"include needs times of words.*; leave it out\."):
        TranscriptionCall.check(call, model)  # type: ignore[arg-type]


def test_json_body(heads_server: RunningServer, transcript: Transcript) -> None:
    import base64

    response = httpx2.post(
        f"{heads_server.base_url}/v1/audio/transcriptions",
        headers={"Authorization": f"Bearer {heads_server.user_key}"},
        json={"model": "recognizer", "file": base64.b64encode(DATA).decode(), "response_format": "text"},
    )
    assert response.text == f"{transcript.text}\n"
    assert re.match("text/plain", response.headers["content-type"])


@pytest.mark.parametrize(
    ("how", "param"),
    [
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"response_format": "verbose_json", "timestamp_granularities": ["letter"]}, "timestamp_granularities"),
        ({"response_format": "srt", "stream": True}, "stream"),
        ({"response_format": "text", "include": ["logprobs"]}, "include"),
        ({"include": ["secrets"]}, "include"),
        ({"response_format": "diarized_json"}, "num_speakers"),
        ({"extra_body": {"num_speakers": 2}}, "num_speakers"),
        ({"response_format": "yaml"}, "response_format"),
        ({"temperature": 5}, "temperature"),
        ({"extra_body": {"diarize": "yes"}}, "diarize"),
        ({"extra_body": {"keywords": ["name"] * 101}}, "keywords"),
        ({"extra_body": {"keywords": ["n" * 101]}}, "keywords"),
        ({"extra_body": {"keywords": ["name", " "]}}, "keywords"),
        ({"extra_body": {"keywords": ["Größe"]}}, "keywords"),  # which the vocabulary cannot spell
        ({"extra_body": {"n_best": 0}}, "n_best"),
        ({"extra_body": {"n_best": 2}, "response_format": "srt"}, "n_best"),
    ],
    ids=str,
)
def test_bad_requests(client: openai.OpenAI, how: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _create(client, **how)
    assert caught.value.param == param


def test_a_model_without_letters(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(model="sonant/wavlm-tiny", file=("speech.wav", io.BytesIO(DATA)))
    assert (caught.value.code, caught.value.param) == ("unsupported_ability", "model")


def test_models_are_not_named_by_the_folders_of_the_server(client: openai.OpenAI, checkpoints: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="recognizer has no head that finds out how many") as caught:
        _create(client, response_format="diarized_json")
    assert str(checkpoints) not in str(caught.value)


def test_no_audio(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(model="recognizer", file=("speech.wav", io.BytesIO(b"words " * 9)))
    assert (caught.value.code, caught.value.param) == ("invalid_audio", "file")


@pytest.mark.parametrize(
    ("wanted", "own"), [("fra", "eng"), ("fr", "eng"), ("en", "eng"), ("eng", "eng"), (None, "eng"), ("fra", None)]
)
def test_another_language_than_the_model_was_loaded_with_is_refused(wanted: str | None, own: str | None) -> None:
    encoder = SimpleNamespace(translates=False, has_word_times=True)
    model: Any = SimpleNamespace(id="mms", language=own, encoder=encoder)
    for fields in ({"language": wanted}, {"languages": None if wanted is None else [wanted]}):
        body = RequestBody({"model": "mms", "file": "UklGRg=="} | fields)
        call = TranscriptionCall(body, Limits())
        if wanted in (None, "en", own) or own is None:
            call.check(model)
        else:
            with pytest.raises(ApiError, match=f"'{wanted}', and this server has mms for 'eng'"):
                call.check(model)


def test_slots_are_in_json_and_verbose_json() -> None:
    found = Transcript(
        "to rome", (Word("rome", 0.5, 1.0, 0.9),), 2.0, 0.9, slots=(SpokenSlot("city", "rome", 0.5, 1.0),)
    )
    assert timed_slots(found) == {"slots": [{"name": "city", "text": "rome", "start": 0.5, "end": 1.0}]}
    assert timed_slots(Transcript("", (), 2.0, 0.0)) == {}
