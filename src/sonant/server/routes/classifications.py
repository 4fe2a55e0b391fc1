"""POST /v1/audio/classifications: labels of whole recordings."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from sonant.decoding.class_scores import ClassLabels
from sonant.server.accounts.caller import Caller
from sonant.server.authentication import caller_with
from sonant.server.errors import ApiError
from sonant.server.hosting.served_model import ServedModel
from sonant.server.routes import documentation
from sonant.server.routes.answering import answer
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.calls import AdmittedCall, ApiCall
from sonant.server.routes.finite_json import finite_json
from sonant.server.routes.inputs import recordings
from sonant.server.routes.parameters import ChannelParameters, parameters
from sonant.server.routes.piecewise import PiecewiseResponse, json_list
from sonant.server.settings import Limits

router = APIRouter(tags=["Audio"])

FIELDS = ("file", "input")
SCORE_BYTES = 160  # held for a score: a number, its label, and both as text


class ClassificationParameters(ChannelParameters):
    """The parameters besides the recordings."""

    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Only so many labels, those with the highest probabilities. Without it: all of them."
    )


class ClassificationCall(ApiCall):
    """A request for the labels of recordings."""

    ability = "classification"

    def __init__(self, body: RequestBody, limits: Limits) -> None:
        self.parameters = parameters(ClassificationParameters, body, FIELDS)
        self.limits = limits
        super().__init__(self.parameters, recordings(body, *FIELDS, limits=limits), self.parameters.channel)

    def check(self, model: ServedModel) -> None:
        labels = labels_of(model)
        if self.parameters.top_k is not None and not labels.is_ranked:
            raise ApiError(
                400,
                "invalid_value",
                f"top_k was given, and the outputs of {model.id} ({', '.join(labels.names[:5])}) are no probabilities "
                "of labels to choose from. Leave top_k out.",
                param="top_k",
            )

    async def perform(self, job: AdmittedCall) -> Response:
        labels = labels_of(job.model)
        shown = min(self.parameters.top_k or len(labels.names), len(labels.names))
        held_bytes = job.hold(
            SCORE_BYTES * max(shown, 1) * len(job.waveforms),
            self.limits.response_bytes,
            what=f"{shown} labels of {len(job.waveforms)} recordings",
            cure="Ask for fewer labels (top_k), or send fewer recordings.",
        )
        found = await job.model.classify(job.waveforms, share=job.share)
        with job.timed("respond"):
            items = await asyncio.to_thread(self._items, job, labels, found, shown)
            pieces = json_list(items, {"model": job.model.id, "usage": job.usage.in_seconds()})
            return PiecewiseResponse(pieces, held_bytes=held_bytes, send_seconds=self.limits.send_seconds)

    def _items(
        self, job: AdmittedCall, labels: ClassLabels, found: Sequence[dict[str, float]], shown: int
    ) -> list[list[bytes]]:
        """Return the labels of each recording as JSON. Raises NonFiniteStates."""
        items = []
        for place, scores in zip(self.places(job), found, strict=True):
            ranked = list(scores.items())
            if labels.is_ranked:
                ranked.sort(key=lambda one: -one[1])
            item = {
                "object": "classification",
                **place,
                "label": ranked[0][0] if labels.is_exclusive else None,
                **({"labels": labels.chosen(scores)} if labels.groups else {}),
                "scores": [{"label": label, "score": score} for label, score in ranked[:shown]],
            }
            items.append([finite_json(item)])
        return items


def labels_of(model: ServedModel) -> ClassLabels:
    """Return the labels of a model that has the ability."""
    labels = model.encoder.labels
    assert labels is not None
    return labels


class LabelScore(BaseModel):
    label: str
    score: float = Field(description="A probability; of a regression, the output as it is.")


class Classification(BaseModel):
    object: Literal["classification"]
    index: int = Field(description="The recording's place in the request.")
    channel: int | None = Field(None, description="Of `all`: which channel of the recording, counted from 0.")
    label: str | None = Field(
        description="The most probable label; null where several may apply at once, and of a regression."
    )
    labels: dict[str, str] | None = Field(
        None, description="Of a model with one label in each of several fields: the most probable ones, by field."
    )
    scores: list[LabelScore] = Field(description="By falling probability; of a regression, in the order of the model.")


class Classifications(BaseModel):
    object: Literal["list"]
    data: list[Classification]
    model: str
    usage: documentation.UsedSeconds


@router.post(
    "/audio/classifications",
    summary="Labels of recordings",
    response_class=Response,
    responses={**documentation.success(Classifications), **documentation.COSTLY},
    openapi_extra=documentation.body(
        ClassificationParameters,
        json={"file": documentation.RECORDINGS},
        form={"file": documentation.FILES},
        example={"model": "superb/wav2vec2-base-superb-ks", "top_k": 3},
    ),
)
async def create_classification(request: Request, caller: Caller = Depends(caller_with("classification"))) -> Response:
    """The label of each recording, such as its keyword, language or emotion, with probabilities.

    For models with a head for whole recordings. Recordings come as files of a form (`file`, several if you like), or as
    JSON (`file`: one, or a list) in one of the forms that `/v1/embeddings` takes. Estimates must not decide about
    people.
    """
    return await answer(request, caller, ClassificationCall)
