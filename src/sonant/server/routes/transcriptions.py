"""POST /v1/audio/transcriptions: transcripts in the formats of OpenAI."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BeforeValidator, Field, StringConstraints

from sonant.checkpoints.language_codes import meant_by
from sonant.decoding.results import Transcript, Word, join_words
from sonant.decoding.subtitles import segments, srt, vtt
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, StreamingCall
from sonant.server.routes.diarizations import check_speakers
from sonant.server.routes.disconnection import stopped
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import MAX_ITEMS, ChannelParameters, as_list, parameters
from sonant.server.routes.transcript_formats import (
    MEDIA_TYPES,
    Granularity,
    TranscriptFormat,
    Transcription,
    delta,
    done,
    log_probabilities,
    scored,
    spoken,
    spoken_segment,
    timed_slots,
    verbose,
)
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")
IGNORED = "Taken as OpenAI's clients send it, and not used, which the header `x-parameter-warning` says."
UNUSED = {  # parameters that are taken, and why they have no effect
    "prompt": "a CTC model cannot be prompted",
    "temperature": "the most probable letters are taken, and nothing is drawn at random",
    "chunking_strategy": "the server cuts long recordings into windows that overlap",
    "known_speaker_names": "speakers are numbered in each recording",
    "known_speaker_references": "speakers are numbered in each recording",
}

STREAM = "".join(
    f"data: {event}\n\n"
    for event in (
        '{"type": "transcript.text.delta", "delta": "GOOD"}',
        '{"type": "transcript.text.delta", "delta": " MORNING"}',
        '{"type": "transcript.text.done", "text": "GOOD MORNING", "usage": {"type": "duration", "seconds": 1.2}}',
    )
)


Keyword = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class TranscriptionParameters(ChannelParameters):
    """The parameters besides the recording."""

    response_format: TranscriptFormat = "json"
    timestamp_granularities: Annotated[list[Granularity], BeforeValidator(as_list)] | None = Field(
        None, description="For `verbose_json`: `segment` (the default), `word`, or both."
    )
    stream: bool = Field(
        False,
        description="Server-sent events `transcript.text.delta`, `transcript.text.segment` (of `diarized_json`) and "
        "`transcript.text.done`. Not used with `verbose_json`, which is answered as a whole.",
    )
    language: str | None = Field(
        None,
        description="Repeated in `verbose_json`. A model knows one language; of one with adapters by language (MMS) it "
        "must be that which it was loaded with, such as `eng`, or its two letters, such as `en`.",
    )
    languages: Annotated[list[str], BeforeValidator(as_list)] | None = Field(
        None, description="Several that may be spoken; that of the model must be among them."
    )
    num_speakers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="For `diarized_json`. Needed, unless the model has a head that finds out."
    )
    include: Annotated[list[Literal["logprobs"]], BeforeValidator(as_list)] | None = Field(
        None, description="`logprobs`: the log-probability of each word, in `json`."
    )
    prompt: str | None = Field(None, description=IGNORED)
    keywords: Annotated[list[Keyword], BeforeValidator(as_list)] | None = Field(
        None, max_length=MAX_ITEMS, description="Hot words: names and terms that are more likely than others."
    )
    n_best: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None, description="The most likely texts, with their scores, in `alternatives` of `json` and `verbose_json`."
    )
    temperature: float | None = Field(None, ge=0, le=2, description=IGNORED)
    chunking_strategy: str | dict[str, Any] | None = Field(None, description=IGNORED)
    known_speaker_names: Annotated[list[str], BeforeValidator(as_list)] | None = Field(None, description=IGNORED)
    known_speaker_references: Annotated[list[str], BeforeValidator(as_list)] | None = Field(None, description=IGNORED)


TRANSLATES = "This model writes translations. Send the recording to /v1/audio/translations."
TRANSCRIBES = (
    "This model does not translate: it writes what was said, in the language in which it was said. Send the recording "
    "to /v1/audio/transcriptions, and its text to a model that translates text."
)


class TranscriptionCall(StreamingCall):
    """A request for the transcript of one recording."""

    ability = "transcription"
    translates = False

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = given = parameters(TranscriptionParameters, _without_brackets(body), FIELDS)
        self.warnings: list[str] = [
            f"{name} is not used: {why}" for name, why in UNUSED.items() if getattr(given, name)
        ]
        if given.include is not None and given.response_format != "json":
            raise _mismatch("include", 'needs response_format="json"')
        if given.n_best is not None and given.response_format not in {"json", "verbose_json"}:
            raise _mismatch("n_best", 'needs response_format="json" or "verbose_json"')
        if given.timestamp_granularities is not None and given.response_format != "verbose_json":
            raise _mismatch("timestamp_granularities", 'needs response_format="verbose_json"')
        if given.stream and given.response_format in {"srt", "vtt"}:
            raise _mismatch("stream", 'goes with response_format="json", "text" or "diarized_json"')
        self.is_stream = given.stream and given.response_format != "verbose_json"
        if given.stream and not self.is_stream:
            self.warnings.append("stream is not used: verbose_json is not streamed, nor is it by OpenAI's whisper-1")
        if given.channel == "all" and (given.stream or given.response_format in {"srt", "vtt", "diarized_json"}):
            raise _mismatch(
                "channel", '"all" goes with response_format "json", "text" or "verbose_json", and with no stream'
            )
        super().__init__(given, [one_recording(body, *FIELDS, limits=limits)], given.channel)

    def check(self, model: ServedModel) -> None:
        """Refuse a language other than that for which the model was loaded, and speakers that it cannot tell apart."""
        given, own, encoder = self.parameters, model.language, model.encoder
        if encoder.translates != self.translates:
            raise ApiError(400, "unsupported_endpoint", TRANSLATES if encoder.translates else TRANSCRIBES)
        if not encoder.has_word_times and (given.include or given.response_format not in ("json", "text")):
            raise _mismatch(
                "include" if given.include else "response_format",
                f"needs times of words, and {model.id} writes texts without them; "
                + ("leave it out" if given.include else "take json or text"),
            )
        for param, wanted in (("language", [given.language] if given.language else []), ("languages", given.languages)):
            if wanted and own is not None and not any(meant_by(one, [own]) for one in wanted):
                raise _mismatch(param, f"is {', '.join(map(repr, wanted))}, and this server has {model.id} for {own!r}")
        unused = {"language": given.response_format != "verbose_json" and given.language, "languages": given.languages}
        for param, value in unused.items():
            if value and own is None:
                self.warnings.append(f"{param} is not used: the model writes the one that it was trained on")
        if given.response_format == "diarized_json":
            check_speakers(model, given.num_speakers)
        elif given.num_speakers is not None:
            raise _mismatch("num_speakers", 'needs response_format="diarized_json"')

    @property
    def _decoding(self) -> dict[str, Any]:
        return {"keywords": self.parameters.keywords or (), "n_best": self.parameters.n_best}

    async def perform(self, job: AdmittedCall) -> Response:
        transcripts = await job.model.transcribe(job.waveforms, share=job.share, **self._decoding)
        with job.timed("respond"):
            if self.channel == "all":
                return self._by_channel(transcripts, job)
            (transcript,) = transcripts
            if self.parameters.response_format == "diarized_json":
                return _json(await self._diarized(transcript, job))
            return self._response(transcript, job)

    async def _diarized(self, transcript: Transcript, job: AdmittedCall) -> dict[str, Any]:
        (turns,) = await job.model.diarize(job.waveforms, share=job.share, num_speakers=self.parameters.num_speakers)
        return {
            "task": "transcribe",
            "duration": round(transcript.duration_seconds, 4),
            "text": transcript.text,
            "segments": spoken(transcript.words, turns),
            "usage": job.usage.in_seconds(),
        }

    async def events(self, job: AdmittedCall) -> AsyncGenerator[bytes, None]:
        """Yield text when windows of a long recording are done, and the transcript at the end."""
        parts: asyncio.Queue[Sequence[Word] | None] = asyncio.Queue()
        work = asyncio.create_task(
            job.model.transcribe(job.waveforms, share=job.share, on_words=parts.put_nowait, **self._decoding)
        )
        work.add_done_callback(lambda _: parts.put_nowait(None))
        told = 0  # characters
        try:
            while (words := await parts.get()) is not None:
                text = join_words(words) if not told else "".join(word.before + word.text for word in words)
                yield delta(text)
                told += len(text)
            (transcript,) = await work
            if len(transcript.text) > told:
                yield delta(transcript.text[told:])
            if self.parameters.response_format == "diarized_json":
                for segment in (await self._diarized(transcript, job))["segments"]:
                    yield spoken_segment(segment)
            yield done(self._json(transcript, job))
        finally:
            await stopped(work)

    def _by_channel(self, transcripts: Sequence[Transcript], job: AdmittedCall) -> Response:
        """Make the response for several channels: text with a line for each, and a transcript of each."""
        given, text = self.parameters, "\n".join(transcript.text for transcript in transcripts)
        if given.response_format == "text":
            return Response(f"{text}\n", media_type=MEDIA_TYPES["text"])
        is_verbose = given.response_format == "verbose_json"
        channels = [
            {"channel": channel, **(self._verbose(transcript, job.model) if is_verbose else self._plain(transcript))}
            for channel, transcript in enumerate(transcripts)
        ]
        return _json({"text": text, "channels": channels, "usage": job.usage.in_seconds()})

    def _verbose(self, transcript: Transcript, model: ServedModel) -> dict[str, Any]:
        given = self.parameters
        wanted = given.timestamp_granularities or ["segment"]
        return verbose(transcript, wanted, given.language or model.language) | self._more(transcript)

    def _plain(self, transcript: Transcript) -> dict[str, Any]:
        return {"text": transcript.text, **self._more(transcript)}

    def _more(self, transcript: Transcript) -> dict[str, Any]:
        """Return slots and alternatives, where there are any or were asked for."""
        n_best = self.parameters.n_best
        ranked = {} if n_best is None else {"alternatives": list(map(scored, transcript.alternatives))}
        return timed_slots(transcript) | ranked

    def _json(self, transcript: Transcript, job: AdmittedCall) -> dict[str, Any]:
        extra = {"logprobs": log_probabilities(transcript.words)} if self.parameters.include else {}
        return {**self._plain(transcript), **extra, "usage": job.usage.in_seconds()}

    def _response(self, transcript: Transcript, job: AdmittedCall) -> Response:
        given = self.parameters
        match given.response_format:
            case "text":
                text = f"{transcript.text}\n"
            case "srt":
                text = srt(segments(transcript.words))
            case "vtt":
                text = vtt(segments(transcript.words))
            case "verbose_json":
                return _json({**self._verbose(transcript, job.model), "usage": job.usage.in_seconds()})
            case _:
                return _json(self._json(transcript, job))
        return Response(text, media_type=MEDIA_TYPES[given.response_format])


def _without_brackets(body: RequestBody) -> RequestBody:
    """Join fields such as `chunking_strategy[type]`, in which OpenAI's clients send an object in a form."""
    nested = {name: value for name, value in body.fields.items() if name.startswith("chunking_strategy[")}
    if not nested:
        return body
    fields = {name: value for name, value in body.fields.items() if name not in nested}
    return replace(body, fields={**fields, "chunking_strategy": nested})


def _json(content: dict[str, object]) -> Response:
    return Response(finite_json(content), media_type="application/json")


def _mismatch(param: str, what: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{param} {what}.", param=param)


@router.post(
    "/audio/transcriptions",
    summary="What was said",
    response_class=Response,
    responses={
        **documentation.success(
            Transcription,
            {
                "text/plain": documentation.text("The transcript, of `text`."),
                "application/x-subrip": documentation.text("Subtitles, of `srt`."),
                "text/vtt": documentation.text("Subtitles, of `vtt`."),
                "text/event-stream": {"example": STREAM},
            },
        ),
        **documentation.COSTLY,
    },
    openapi_extra=documentation.body(
        TranscriptionParameters,
        json={"file": documentation.ONE_RECORDING},
        form={"file": documentation.FILE},
        example={
            "model": "facebook/wav2vec2-base-960h",
            "response_format": "verbose_json",
            "timestamp_granularities": ["word"],
        },
    ),
)
async def create_transcription(request: Request, caller: Caller = Depends(caller_with("transcription"))) -> Response:
    """The words of a recording, with their times where the format has room for them.

    For models with a head of letters or phonemes (CTC). Long recordings are cut into windows that overlap. The
    recording comes as a file of a form, or as JSON in one of the forms that `/v1/embeddings` takes. With `channel=all`
    there is a transcript of each channel in `channels`, and `text` has a line for each.
    """
    return await answer(request, caller, TranscriptionCall)


class TranslationCall(TranscriptionCall):
    """A request for the translation of one recording."""

    translates = True


@router.post("/audio/translations", include_in_schema=False)
async def create_translation(request: Request, caller: Caller = Depends(caller_with("transcription"))) -> Response:
    """Translate a recording by a model that was trained on translations, into its language; refuse any other model."""
    return await answer(request, caller, TranslationCall)
