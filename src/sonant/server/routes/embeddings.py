"""POST /v1/embeddings: recordings to vectors, compatible with clients of OpenAI, with additions for speech."""

from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.errors import UnknownName
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest
from sonant.models.families import Task, presets_of
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError, api_error
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.inputs import recordings
from sonant.server.routes.parameters import ChannelParameters, parameters
from sonant.server.routes.piecewise import PiecewiseResponse, json_list
from sonant.server.routes.vectors import Encoding, as_json, check_finite
from sonant.server.settings import Limits

router = APIRouter(tags=["Embeddings"])

LayerNumber = Annotated[int, Field(ge=0)]
FIELDS = ("input", "file")  # fields that hold recordings


class EmbeddingParameters(ChannelParameters):
    """The parameters besides the recordings."""

    encoding_format: Encoding = Field(
        "float", description="`base64`: little-endian float32, a quarter of the size; see `shape` of the answer."
    )
    dimensions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The model's own number, or nothing: no model here was trained to have its vectors cut."
    )
    user: str | None = Field(None, description="Taken as OpenAI's clients send it, and not used.")
    layer: (
        LayerNumber
        | Literal["last", "all"]
        | Annotated[
            list[LayerNumber | Literal["last"]],
            Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True}),
        ]
        | None
    ) = Field(
        None,
        description="A hidden state by number (0: the input of the first block), `last` (the model's output; the "
        "default), several in a list, or `all`.",
    )
    pooling: Pool | Literal["none"] | None = Field(
        None, description="What makes one vector of a recording: `mean` unless `task` says otherwise. `none`: frames."
    )
    task: Task | None = Field(None, description="Layer and pooling that serve it, unless they are given.")
    output: Literal["utterance", "frames"] | None = Field(
        None, description="One vector per recording (the default), or per frame."
    )
    normalize: bool = Field(False, description="Scale every vector to length one.")


class EmbeddingCall(ApiCall):
    """A request for vectors of recordings."""

    ability = "embeddings"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = parameters(EmbeddingParameters, body, FIELDS)
        self.limits = limits
        super().__init__(self.parameters, recordings(body, *FIELDS, limits=limits), self.parameters.channel)

    def check(self, model: ServedModel) -> None:
        encoding = self._encode_request(model)
        asked, dim = self.parameters.dimensions, encoding.vector_dim(model.dim)
        if asked not in {None, dim}:
            raise ApiError(
                400,
                "unsupported_dimensions",
                f"dimensions={asked} was given; vectors of {model.id} have {dim} numbers, and it was not trained to "
                "have them cut (Matryoshka). Leave dimensions out.",
                param="dimensions",
            )

    async def perform(self, job: AdmittedCall) -> Response:
        encoding = self._encode_request(job.model)
        vectors = job.usage.tokens if encoding.pool is None else len(job.waveforms)
        held_bytes = job.hold(
            4 * vectors * len(encoding.layers) * encoding.vector_dim(job.model.dim),
            self.limits.response_bytes,
            what=f"{vectors} vectors of {len(encoding.layers)} layers",
            cure='Ask for fewer layers, for one vector per recording (output="utterance"), or for shorter recordings.',
        )
        results = await job.model.encode(job.waveforms, encoding, share=job.share)
        arrays = results if encoding.stacked else [result[0] for result in results]
        await check_finite(arrays)
        with job.timed("respond"):
            rest = {
                "model": job.model.id,
                "layer": list(encoding.layers) if encoding.stacked else encoding.layers[0],
                "pooling": encoding.pool or "none",
                "usage": job.usage.in_tokens(),
            }
            rate = {"frame_rate": job.model.frame_rate} if encoding.pool is None else {}
            item = partial(_item, self.parameters.encoding_format, rate, deque(arrays))
            pieces = json_list(map(item, self.places(job)), rest)
            return PiecewiseResponse(pieces, held_bytes=held_bytes, send_seconds=self.limits.send_seconds)

    def _encode_request(self, model: ServedModel) -> EncodeRequest:
        """Return layers and pooling. Raises ApiError for contradictory parameters."""
        given = self.parameters
        frames = given.output == "frames" or (given.output is None and given.pooling == "none")
        if frames and given.pooling not in {None, "none"}:
            raise _contradiction(f"pooling={given.pooling!r} makes one vector of a recording", 'output="utterance"')
        if not frames and given.pooling == "none":
            raise _contradiction('pooling="none" keeps the frames', 'output="frames"')
        preset = None if given.task is None else presets_of(model.encoder.model)[given.task]
        layer = given.layer if given.layer is not None or preset is None else preset.layer
        pool: Pool = "mean"
        if given.pooling is not None and given.pooling != "none":
            pool = given.pooling
        elif preset is not None and preset.pool is not None:
            pool = preset.pool
        try:
            encoding = model.request(layer=layer, pool=None if frames else pool, normalize=given.normalize)
        except UnknownName as error:  # a layer number above that of the last layer
            raise api_error(error, param="layer") from error
        if len(set(encoding.layers)) < len(encoding.layers):  # all layers of every frame would be held in memory
            raise ApiError(400, "invalid_value", "layer names a hidden state more than once.", param="layer")
        return encoding


def _item(
    encoding: Encoding, rate: Mapping[str, float], arrays: deque[np.ndarray], place: Mapping[str, int]
) -> Iterator[bytes]:
    """Write the first of the arrays, and let go of it once it is written."""
    array = arrays.popleft()
    yield b'{"embedding":'
    yield from as_json(array, encoding)
    yield b"," + orjson.dumps({"object": "embedding", **place, "shape": array.shape, **rate})[1:]


def _contradiction(what: str, cure: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{what}; that goes with {cure}.", param="pooling")


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int = Field(description="The recording's place in the request.")
    channel: int | None = Field(None, description="Of `all`: which channel of the recording, counted from 0.")
    embedding: list[float] | list[list[float]] | list[list[list[float]]] | str = Field(
        description="Numbers, or base64 of little-endian float32 in the order of `shape`."
    )
    shape: list[int] = Field(description="Layers (if several were asked for), frames (of `frames`), numbers.")
    frame_rate: float | None = Field(None, description="Of `frames`: a second; frame i begins at i / frame_rate.")


class EmbeddingUsage(BaseModel):
    prompt_tokens: int = Field(description="Frames of the model.")
    total_tokens: int
    audio_seconds: float
    cost: str = Field(description="What was charged: a decimal number.", examples=["0.00002778"])


class Embeddings(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    layer: int | Literal["last"] | list[int | Literal["last"]]
    pooling: Pool | Literal["none"]
    usage: EmbeddingUsage


@router.post(
    "/embeddings",
    summary="Vectors of recordings",
    response_class=Response,
    responses={**documentation.success(Embeddings), **documentation.COSTLY},
    openapi_extra=documentation.body(
        EmbeddingParameters,
        json={"input": documentation.RECORDINGS},
        form={"file": documentation.FILES},
        example={"model": "sonant/wavlm-tiny", "task": "speaker"},
    ),
)
async def create_embeddings(request: Request, caller: Caller = Depends(caller_with("embeddings"))) -> Response:
    """One vector per recording, or per frame, in the order of the request.

    Recordings come as JSON (`input`: base64, a data URI, an address, a content part, or a list of these) or as files of
    a form (`file`, as many as you like, with the parameters as fields). They may have any sampling rate and any number
    of channels, whose mean is taken unless `channel` says otherwise. A token is a frame of the model.
    """
    return await answer(request, caller, EmbeddingCall)
