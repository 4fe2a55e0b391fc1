"""POST /v1/audio/alignments: when each line, word and character of a known text is said."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.alignment.aligned_text import Alignment, TimedText
from sonant.extraction.alignment_formats import Level, formatted, of_level
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import one_recording
from sonant.server.routes.long_text import LongText
from sonant.server.routes.parameters import ChannelNumber, Parameters, parameters
from sonant.server.settings import Limits
from sonant.server.text_limits import CONTROL

router = APIRouter(tags=["Audio"])

RECORDINGS = ("file", "input")
TEXT_BYTES = 1 << 20  # of a text: a day of speech
CHARACTER_BYTES = 256  # held for a character: its times and score, and all as text
MEDIA_TYPES = {"textgrid": "text/plain", "ctm": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
LEVELS: dict[str, Level] = {"segment": "segments", "word": "words", "character": "characters"}


class AlignmentParameters(Parameters):
    """The parameters besides the recording."""

    text: str = Field(description="What is said, as it is written; each line is a segment. At most 1 MiB.")
    granularity: Literal["segment", "word", "character"] = Field(
        "word", description="What has times: the lines of the text, its words, or its characters. `json` has all above."
    )
    response_format: Literal["json", "textgrid", "ctm", "srt", "vtt"] = "json"
    star: bool = Field(False, description="Also fit what is said before, between and after the lines of the text.")
    channel: ChannelNumber | Literal["mix"] = Field(
        "mix", description="`mix`: the mean of the channels. A number, counted from 0: that channel alone."
    )


class AlignmentCall(ApiCall):
    """A request for the alignment of a text."""

    ability = "transcription"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = given = parameters(AlignmentParameters, _with_whole_text(body), RECORDINGS)
        super().__init__(given, [one_recording(body, *RECORDINGS, limits=limits)], given.channel)

    def check(self, model: ServedModel) -> None:
        """Refuse a text that cannot be spelled, before the recording is decoded."""
        model.encoder.alignment_pipeline(text=self.parameters.text)

    async def perform(self, job: AdmittedCall) -> Response:
        text, star = self.parameters.text, self.parameters.star
        job.memory.take(CHARACTER_BYTES * len(text))
        (found,) = await job.model.align(job.waveforms, share=job.share, text=text, star=star)
        with job.timed("respond"):
            return await asyncio.to_thread(self._response, found, job)

    def _response(self, found: Alignment, job: AdmittedCall) -> Response:
        given, level = self.parameters, LEVELS[self.parameters.granularity]
        if given.response_format != "json":
            text = formatted(found, given.response_format, level)
            return Response(text, media_type=MEDIA_TYPES[given.response_format])
        content = {
            "text": found.text,
            "duration": round(found.duration_seconds, 4),
            "score": round(found.score, 4),
            "is_match": found.is_match,
            "unspelled": list(found.unspelled),
            "normalization": found.normalization,
            "segments": [_timed(each) for each in found.segments],
            **({} if level == "segments" else {"words": [_timed(each) for each in found.words]}),
            **({"characters": [_timed(each) for each in of_level(found, level)]} if level == "characters" else {}),
            "model": job.model.id,
            "usage": job.usage.in_seconds(),
        }
        return Response(finite_json(content), media_type="application/json")


def _with_whole_text(body: RequestBody) -> RequestBody:
    """Return the body with a long text as a string. Raises ApiError 400: it is too long, or not valid."""
    text = body.fields.get("text")
    if not isinstance(text, LongText):
        return body
    if len(text) > TEXT_BYTES:
        raise ApiError(400, "invalid_value", f"text has more than {TEXT_BYTES} bytes; send less.", param="text")
    try:
        whole = b"".join(text.pieces()).decode()
    except ValueError:
        raise ApiError(400, "invalid_value", "text is not valid UTF-8.", param="text") from None
    if found := CONTROL.search(whole):
        raise ApiError(400, "invalid_value", f"text has the control character U+{ord(found[0]):04X}.", param="text")
    return replace(body, fields={**body.fields, "text": whole})


def _timed(item: TimedText) -> dict[str, Any]:
    return {
        "text": item.text,
        "start": round(item.start_seconds, 3),
        "end": round(item.end_seconds, 3),
        "confidence": round(item.confidence, 4),
    }


class AlignedItem(BaseModel):
    text: str = Field(description="As it was sent; a character as the model spells it.")
    start: float
    end: float
    confidence: float = Field(description="0 to 1: how probable it is there, for the model.")


class AlignedText(BaseModel):
    text: str
    duration: float
    score: float = Field(description="At most 0; the nearer to 0, the better the text fits the recording.")
    is_match: bool = Field(description="False if the text is probably not what is said.")
    unspelled: list[str] = Field(description="What the model cannot spell; its times are less certain.")
    normalization: str = Field(description="The form in which words were spelled: `upper`, `lower`, `cased` or `none`.")
    segments: list[AlignedItem] = Field(description="The lines of the text.")
    words: list[AlignedItem] | None = None
    characters: list[AlignedItem] | None = None
    model: str
    usage: documentation.UsedSeconds


@router.post(
    "/audio/alignments",
    summary="When each word of a text is said",
    response_class=Response,
    responses={
        **documentation.success(
            AlignedText,
            {
                "text/plain": documentation.text("A TextGrid or CTM, of `textgrid` and `ctm`."),
                "application/x-subrip": documentation.text("Subtitles, of `srt`."),
                "text/vtt": documentation.text("Subtitles, of `vtt`."),
            },
        ),
        **documentation.COSTLY,
    },
    openapi_extra=documentation.body(
        AlignmentParameters,
        json={"file": documentation.ONE_RECORDING},
        form={"file": documentation.FILE},
        example={"model": "facebook/wav2vec2-base-960h", "text": "Good morning."},
    ),
)
async def create_alignment(request: Request, caller: Caller = Depends(caller_with("transcription"))) -> Response:
    """The times of a text that is known: of its lines, its words or its characters.

    For models with a head of letters or phonemes (CTC), and keys that may transcribe. The text is sent as it is
    written; its lines are segments. The recording comes as a file of a form, or as JSON in one of the forms that
    `/v1/embeddings` takes.
    """
    return await answer(request, caller, AlignmentCall)
