"""POST /v1/audio/transcriptions: transcripts in the formats of OpenAI."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BeforeValidator, Field

from sonant.checkpoints.language_codes import meant_by
from sonant.decoding.results import Transcript
from sonant.decoding.subtitles import Segment, segments, srt, vtt
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, StreamingCall
from sonant.server.routes.disconnection import stopped
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.parameters import ChannelParameters, as_list, parameters
from sonant.server.routes.transcript_formats import (
    MEDIA_TYPES,
    Granularity,
    TranscriptFormat,
    Transcription,
    delta,
    done,
    verbose,
)
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")
IGNORED = "Taken as OpenAI's clients send it, and not used: a CTC model cannot be prompted or sampled from."

STREAM = "".join(
    f"data: {event}\n\n"
    for event in (
        '{"type": "transcript.text.delta", "delta": "GOOD"}',
        '{"type": "transcript.text.delta", "delta": " MORNING"}',
        '{"type": "transcript.text.done", "text": "GOOD MORNING", "usage": {"type": "duration", "seconds": 1.2}}',
    )
)


class TranscriptionParameters(ChannelParameters):
    """The parameters besides the recording."""

    response_format: TranscriptFormat = "json"
    timestamp_granularities: Annotated[list[Granularity], BeforeValidator(as_list)] | None = Field(
        None, description="For `verbose_json`: `segment` (the default), `word`, or both."
    )
    stream: bool = Field(False, description="Server-sent events `transcript.text.delta` and `transcript.text.done`.")
    language: str | None = Field(
        None,
        description="Repeated in `verbose_json`. A model knows one language; of one with adapters by language (MMS) it "
        "must be that which it was loaded with, such as `eng`, or its two letters, such as `en`.",
    )
    prompt: str | None = Field(None, description=IGNORED)
    temperature: float | None = Field(None, ge=0, le=2, description=IGNORED)


class TranscriptionCall(StreamingCall):
    """A request for the transcript of one recording."""

    ability = "transcription"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = given = parameters(TranscriptionParameters, body, FIELDS)
        if given.timestamp_granularities is not None and given.response_format != "verbose_json":
            raise _mismatch("timestamp_granularities", 'needs response_format="verbose_json"')
        if given.stream and given.response_format not in {"json", "text"}:
            raise _mismatch("stream", 'goes with response_format="json" or "text"')
        self.is_stream = given.stream
        if given.channel == "all" and (given.stream or given.response_format in {"srt", "vtt"}):
            raise _mismatch(
                "channel", '"all" goes with response_format "json", "text" or "verbose_json", and with no stream'
            )
        super().__init__(given, [one_recording(body, *FIELDS, limits=limits)], given.channel)

    def check(self, model: ServedModel) -> None:
        """Refuse a language other than the one for which the model was loaded."""
        wanted, own = self.parameters.language, model.language
        if wanted is not None and own is not None and not meant_by(wanted, [own]):
            raise _mismatch("language", f"is {wanted!r}, and this server has {model.id} for {own!r}")

    async def perform(self, job: AdmittedCall) -> Response:
        transcripts = await job.model.transcribe(job.waveforms, share=job.share)
        with job.timed("respond"):
            if self.channel == "all":
                return self._by_channel(transcripts, job)
            (transcript,) = transcripts
            return self._response(transcript, segments(transcript.words), job)

    async def events(self, job: AdmittedCall) -> AsyncGenerator[bytes, None]:
        """Yield text when windows of a long recording are done, and the transcript at the end."""
        parts: asyncio.Queue[Transcript | None] = asyncio.Queue()
        work = asyncio.create_task(job.model.transcribe(job.waveforms, share=job.share, on_words=parts.put_nowait))
        work.add_done_callback(lambda _: parts.put_nowait(None))
        told = ""
        try:
            while (part := await parts.get()) is not None:
                if part.text != told:
                    yield delta(part.text[len(told) :])
                    told = part.text
            (transcript,) = await work
            if transcript.text != told:
                yield delta(transcript.text[len(told) :])
            yield done(transcript.text, job.usage.in_seconds())
        finally:
            await stopped(work)

    def _by_channel(self, transcripts: Sequence[Transcript], job: AdmittedCall) -> Response:
        """Make the response for several channels: text with a line for each, and a transcript of each."""
        given, text = self.parameters, "\n".join(transcript.text for transcript in transcripts)
        if given.response_format == "text":
            return Response(f"{text}\n", media_type=MEDIA_TYPES["text"])
        is_verbose = given.response_format == "verbose_json"
        channels = [
            {"channel": channel, **(self._verbose(transcript, job.model) if is_verbose else {"text": transcript.text})}
            for channel, transcript in enumerate(transcripts)
        ]
        return _json({"text": text, "channels": channels, "usage": job.usage.in_seconds()})

    def _verbose(self, transcript: Transcript, model: ServedModel) -> dict[str, Any]:
        given = self.parameters
        wanted = given.timestamp_granularities or ["segment"]
        return verbose(transcript, segments(transcript.words), wanted, given.language or model.language)

    def _response(self, transcript: Transcript, found: list[Segment], job: AdmittedCall) -> Response:
        given, usage = self.parameters, job.usage.in_seconds()
        match given.response_format:
            case "text":
                text = f"{transcript.text}\n"
            case "srt":
                text = srt(found)
            case "vtt":
                text = vtt(found)
            case "json":
                return _json({"text": transcript.text, "usage": usage})
            case "verbose_json":
                return _json({**self._verbose(transcript, job.model), "usage": usage})
        return Response(text, media_type=MEDIA_TYPES[given.response_format])


def _json(content: dict[str, object]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


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
