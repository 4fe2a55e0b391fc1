"""Model entries: facts of the catalog, and the state of each model on this server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sonant.checkpoints.training_facts import TrainingFacts
from sonant.errors import UnknownName
from sonant.models.abilities import Ability
from sonant.models.backbone import BackboneConfig
from sonant.models.catalog import CATALOG, Card, find
from sonant.models.families import Preset, Task, family_of, presets_of
from sonant.models.published_results import Result
from sonant.server.errors import ApiError
from sonant.server.hosting.pool import Slot
from sonant.server.hosting.recent_requests import RequestFigures
from sonant.server.hosting.served_model import ServedModel, State, abilities_of
from sonant.server.services import Services
from sonant.server.settings import ServerSettings
from sonant.server.web.measured import MeasuredLayers, measured_layers, shipped_layers

HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Specs:
    """The architecture of a model.

    Attributes:
        family: title of the family.
        parameters: number of parameters of the encoder, without heads.
        dim: width of a frame.
        num_layers: layers are numbered from 0, the input of the first block, to this.
        frame_rate: frames a second; a frame is a token.
        sampling_rate: in hertz; recordings are resampled to it.
        receptive_field: samples of one frame.
        normalize: whether the model normalizes waveforms.
        presets: layer and pooling by task.
    """

    family: str
    parameters: int
    dim: int
    num_layers: int
    frame_rate: float
    sampling_rate: int
    receptive_field: int
    normalize: bool
    presets: Mapping[Task, Preset]


@dataclass(frozen=True, kw_only=True)
class ModelOrigin:
    """The origin of a model of the catalog; see `sonant.models.catalog.Card`."""

    data: str
    hours: int | None
    languages: str
    labels: str | None
    pretrained: str | None
    license: str
    paper: str
    paper_url: str
    address: str | None
    shipped: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The price of a model on this server.

    Attributes:
        per_million_tokens, per_audio_hour: of a request both are added.
        hour_in_all: of an hour of audio with its tokens; None where the frame rate is unknown.
        currency: of the amounts.
    """

    per_million_tokens: Decimal
    per_audio_hour: Decimal
    hour_in_all: Decimal | None
    currency: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """Limits on the recordings of a request.

    Attributes:
        min_seconds, max_seconds: of a recording; min_seconds is None for an unknown model that is not loaded.
        max_bytes: of an encoded recording.
        max_inputs: number of recordings.
    """

    min_seconds: float | None
    max_seconds: float
    max_bytes: int
    max_inputs: int


@dataclass(frozen=True, kw_only=True)
class Live:
    """The load of a loaded model.

    Attributes:
        queue_seconds: seconds of audio in the queue.
        waiting_requests: requests in the queue.
        audio_seconds_per_second: recent throughput; None before the first request.
    """

    queue_seconds: float
    waiting_requests: int
    audio_seconds_per_second: float | None


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One model.

    Attributes:
        id: name in requests.
        title: name given by the authors, or the id.
        state: of loading; "coming_soon" if the operator promises to load it, "unloaded" for the rest of the catalog.
        is_hosted: whether the server was told to serve it, at the start or since.
        created: time of loading, unix seconds; None if not loaded.
        abilities: of the model when loaded; empty if only loading will tell.
        heads: abilities for which the model has trained heads.
        specs: None for a local folder that is not loaded.
        origin: None for models outside the catalog.
        training: of a loaded model that sonant trained on labels.
        results: published ones.
        measured: by layer, of a shipped model, and of a loaded one that was analyzed.
        votes: number of users who want it served.
        live: load; None if not loaded.
        recent: latency of recent requests, and the share answered; None before the first.
    """

    id: str
    title: str
    state: State
    is_hosted: bool
    created: int | None
    abilities: tuple[Ability, ...]
    heads: tuple[Ability, ...]
    specs: Specs | None
    origin: ModelOrigin | None
    training: TrainingFacts | None
    results: tuple[Result, ...]
    measured: MeasuredLayers | None
    price: Cost
    recordings: Span
    votes: int
    live: Live | None
    recent: RequestFigures | None

    @property
    def family(self) -> str:
        return self.specs.family if self.specs else ""

    @property
    def is_wanted(self) -> bool:
        """Return whether users can vote for it, because it is not served."""
        return self.state not in ("live", "loading")


async def entries(services: Services) -> list[ModelEntry]:
    """Return all models: those that the server hosts first, those that it promises, the rest of the catalog."""
    votes = await services.accounts.votes.counts()
    return list(_entries(services, votes))


async def entry(services: Services, model_id: str) -> ModelEntry:
    """Find a model by its id, or by its short name in the catalog. Raises ApiError 404 `model_not_found`."""
    every = {each.id: each for each in await entries(services)}
    found = every.get(model_id) or every.get(_full_name(model_id))
    if found is None:
        raise unknown_model(model_id)
    return found


def _full_name(model_id: str) -> str:
    try:
        return find(model_id).name
    except UnknownName:
        return model_id


def unknown_model(model_id: str, *, param: str = "model") -> ApiError:
    """Make the error for an unknown model id."""
    return ApiError(404, "model_not_found", f"There is no model {model_id!r} here, nor in the catalog.", param=param)


def _entries(services: Services, votes: Mapping[str, int]) -> Iterator[ModelEntry]:
    hosted = {slot.id: slot for slot in services.models.hosted()}
    order: dict[State, int] = {"live": 0, "loading": 1, "error": 2, "unloaded": 3}
    for slot in sorted(hosted.values(), key=lambda slot: order[slot.state]):
        yield _entry(slot.id, slot, services.settings, votes.get(slot.id, 0))
    promised = {find(name).name: None for name in services.settings.coming_soon}
    for name in promised | dict.fromkeys(CATALOG):
        if name not in hosted:
            state: State = "coming_soon" if name in promised else "unloaded"
            yield _entry(name, None, services.settings, votes.get(name, 0), state)


def _entry(
    model_id: str, slot: Slot | None, settings: ServerSettings, votes: int, state: State = "unloaded"
) -> ModelEntry:
    card = CATALOG.get(model_id)
    served = slot.model if slot else None
    heads = served.encoder.abilities if served else card.abilities if card else ()
    specs = None
    if served:
        backbone = served.encoder.model
        parameters = sum(weights.numel() for weights in backbone.parameters())
        specs = _specs(backbone.config, parameters, presets_of(backbone))
    elif card:
        specs = _specs(card.config, card.parameters, card.presets)
    return ModelEntry(
        id=model_id,
        title=card.title if card else model_id,
        state=slot.state if slot else state,
        is_hosted=slot is not None,
        created=served.created if served else None,
        abilities=served.abilities if served else abilities_of(heads) if card else (),
        heads=heads,
        specs=specs,
        origin=_origin(card) if card else None,
        training=served.encoder.training if served else None,
        results=card.results if card else (),
        measured=measured_layers(served.card) if served else shipped_layers(model_id),
        price=_cost(specs, model_id, settings),
        recordings=Span(
            min_seconds=specs.receptive_field / specs.sampling_rate if specs else None,
            max_seconds=settings.limits.audio_seconds,
            max_bytes=settings.limits.audio_bytes,
            max_inputs=settings.limits.inputs,
        ),
        votes=votes,
        live=_live(served) if served else None,
        recent=slot.recent.figures if slot else None,
    )


def _live(served: ServedModel) -> Live:
    stats = served.stats
    return Live(
        queue_seconds=stats.queue_seconds,
        waiting_requests=stats.waiting_requests,
        audio_seconds_per_second=stats.audio_seconds_per_second,
    )


def _specs(config: BackboneConfig, parameters: int, presets: Mapping[Task, Preset]) -> Specs:
    return Specs(
        family=family_of(config).title,
        parameters=parameters,
        dim=config.dim,
        num_layers=config.num_layers,
        frame_rate=config.sampling_rate / config.stride,
        sampling_rate=config.sampling_rate,
        receptive_field=config.receptive_field,
        normalize=config.normalize,
        presets=presets,
    )


def _origin(card: Card) -> ModelOrigin:
    paper, paper_url = card.paper
    return ModelOrigin(
        data=card.data,
        hours=card.hours,
        languages=card.languages,
        labels=card.labels,
        pretrained=card.pretrained,
        license=card.license,
        paper=paper,
        paper_url=paper_url,
        address=card.address,
        shipped=card.shipped,
        notes=card.notes,
    )


def _cost(specs: Specs | None, model_id: str, settings: ServerSettings) -> Cost:
    price = settings.price_of(model_id)
    return Cost(
        per_million_tokens=price.per_million_tokens,
        per_audio_hour=price.per_audio_hour,
        hour_in_all=price.cost(round(specs.frame_rate * HOUR), HOUR) if specs else None,
        currency=settings.accounts.currency,
    )
