"""All models of the server: loading in the background, lookup by id, unloading."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sonant.api import load
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError, SonantError, UnknownName
from sonant.extraction.voice_calibrations import read_calibrations
from sonant.models.abilities import Ability
from sonant.models.catalog import CATALOG, find
from sonant.server.errors import ApiError
from sonant.server.hosting.devices import ComputeThreads, torch_thread
from sonant.server.hosting.local_model import LocalModel
from sonant.server.hosting.recent_requests import RecentRequests
from sonant.server.hosting.served_model import ServedModel, State, unloaded
from sonant.server.hosting.sources import ModelSource, model_source
from sonant.server.metrics import Metrics
from sonant.server.settings import ServerSettings

logger = logging.getLogger(__name__)

LOADING_SECONDS = 10.0  # Retry-After of a model that is loading
DRAINING = ApiError(
    503, "server_is_draining", "The server is stopping and takes no new work. Send it again.", retry_after=5.0
)


@dataclass
class Slot:
    """A model that the server knows, loaded or not.

    Attributes:
        id: its name in requests.
        origin: argument of `sonant.load`.
        error: reason of state "error".
        model: in state "live".
        recent: requests to it.
    """

    id: str
    origin: str
    state: State = "loading"
    error: str | None = None
    model: ServedModel | None = None
    recent: RecentRequests = field(default_factory=RecentRequests, repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


MakeModel = Callable[[Slot], ServedModel]


class ModelPool:
    """The models of a server: `async with` starts loading them, and at its end finishes their work.

    Args:
        make: load a model, called in a thread; None for models in this process.

    Raises ConfigurationError: two models of the settings have the same id, or an unknown name; or a file of
    calibrations cannot be read.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics, make: MakeModel | None = None) -> None:
        self._settings, self._metrics = settings, metrics
        self._make = make or self._in_memory
        self._slots: dict[str, Slot] = {}
        for given in settings.models:
            self._add(_known(given))
        for alias, model_id in settings.aliases.items():
            if self._find(model_id) is None or alias in self._slots:
                what = (
                    "is the id of a model"
                    if alias in self._slots
                    else f"stands for {model_id!r}, which is no model here"
                )
                raise ConfigurationError(f"The alias {alias!r} {what}; the models are {', '.join(self._slots)}.")
        for name in settings.decoders:
            if self._find(name) is None:
                raise ConfigurationError(
                    f"decoders names {name!r}, which is no model here; the models are {', '.join(self._slots)}."
                )
        self._calibrations: dict[str, VoiceCalibration] = {}
        for file in settings.voice_calibrations:
            self._calibrations |= read_calibrations(file)
        self._threads = ComputeThreads()
        self._loader = torch_thread("sonant-load")
        self._starting: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._starting = asyncio.create_task(self._load_all(list(self._slots.values())))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_ready(self) -> bool:
        """True after loading was tried for all models of the settings, if at least one is live or there are none."""
        has_tried_all = self._starting is not None and self._starting.done()
        return has_tried_all and not self._stopping and (not self._slots or bool(self.served()))

    def hosted(self) -> Sequence[Slot]:
        """All models that the server knows, in any state."""
        return list(self._slots.values())

    def served(self) -> list[ServedModel]:
        """All live models."""
        return [slot.model for slot in self._slots.values() if slot.model is not None]

    def slot(self, model_id: str) -> Slot:
        """Return a model in any state, by its id or its short name in the catalog. Raises ApiError 404."""
        slot = self._find(model_id)
        if slot is None:
            raise self._not_found(model_id)
        return slot

    def get(self, model_id: str, ability: Ability = "embeddings") -> ServedModel:
        """Return a live model with the ability.

        Raises:
            ApiError: 404 `model_not_found`; 503 `model_loading`, `model_failed` or `model_unloaded`; 400
                `unsupported_ability`.
        """
        slot = self.slot(model_id)
        if slot.model is None:
            raise _unavailable(slot)
        if ability not in slot.model.abilities:
            able = [model.id for model in self.served() if ability in model.abilities]
            raise ApiError(
                400,
                "unsupported_ability",
                f"The model {slot.id!r} has no head for {ability}; it can do {', '.join(slot.model.abilities)}. "
                + (f"Ask for {' or '.join(able)}." if able else "No model here can."),
                param="model",
            )
        return slot.model

    def id_of(self, name: str) -> str:
        """Return the id for which an alias stands, and any other name as it is."""
        return self._settings.aliases.get(name, name)

    async def load(self, given: str) -> ServedModel:
        """Load a model, unless it is live.

        Args:
            given: id of the server or the catalog, short or full; folder, file or hub id.

        Raises:
            ApiError: 404 `model_not_found`; 400 `model_load_failed`, with the reason; 503 while stopping.
        """
        if self._stopping:
            raise DRAINING.copy()
        slot = self._find(given)
        if slot is None:
            try:
                slot = self._add(model_source(given))
            except UnknownName as error:
                raise ApiError(404, "model_not_found", str(error), param="model") from error
            except ConfigurationError as error:
                raise ApiError(400, "model_load_failed", str(error), param="model") from error
        await self._load(slot)
        if slot.model is None:
            raise ApiError(400, "model_load_failed", f"{slot.id!r} could not be loaded: {slot.error}", param="model")
        return slot.model

    async def unload(self, model_id: str) -> None:
        """Finish a model's work and free its memory. Raises ApiError 404."""
        slot = self.slot(model_id)
        async with slot.lock:
            model, slot.model, slot.state, slot.error = slot.model, None, "unloaded", None
            if model is not None:
                await model.unload(unloaded(slot.id), seconds=self._settings.drain_seconds)
                logger.info("unloaded %s", slot.id)

    async def stop(self) -> None:
        """Refuse new work, and finish current work within `drain_seconds`."""
        self._stopping = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*(self._drain(slot) for slot in self._slots.values()))
        self._threads.close()

    async def _drain(self, slot: Slot) -> None:
        model, slot.model, slot.state = slot.model, None, "unloaded"
        if model is not None:
            await model.unload(DRAINING, seconds=self._settings.drain_seconds)

    async def _load_all(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            await self._load(slot)
        if self._calibrations:
            fitting = {(await model.voices())[0] for model in self.served()}
            for fingerprint in self._calibrations.keys() - fitting:
                logger.warning("a calibration of voices (%s) fits no model here, or its weights changed", fingerprint)

    async def _load(self, slot: Slot) -> None:
        async with slot.lock:
            if slot.model is not None:
                return
            slot.state, slot.error = "loading", None
            try:
                slot.model = await asyncio.get_running_loop().run_in_executor(self._loader, self._make, slot)
            except SonantError as error:
                slot.state, slot.error = "error", str(error)
                logger.error("%s could not be loaded: %s", slot.id, error)  # noqa: TRY400 - its message says all
            except Exception as error:
                slot.state, slot.error = "error", f"{type(error).__name__}: {error}"
                logger.exception("%s could not be loaded", slot.id)
            else:
                slot.model.calibrations = self._calibrations
                slot.state = "live"
                logger.info("loaded %s on %s", slot.id, slot.model.device)

    def _in_memory(self, slot: Slot) -> ServedModel:
        """Load a model into this process."""
        encoder = load(slot.origin, device=list(self._settings.devices) or None)
        return LocalModel(slot.id, encoder, self._settings, self._threads, self._metrics)

    def _add(self, source: ModelSource) -> Slot:
        there = self._slots.get(source.id)
        if there is not None and there.origin != source.origin:
            raise ConfigurationError(
                f"{there.origin} and {source.origin} would both be served as {source.id!r}. Rename one of them."
            )
        return self._slots.setdefault(source.id, Slot(source.id, source.origin))

    def _find(self, model_id: str) -> Slot | None:
        """Find a slot by id, alias, or the short name of the catalog."""
        model_id = self.id_of(model_id)
        if model_id in self._slots:
            return self._slots[model_id]
        try:
            return self._slots.get(find(model_id).name)
        except UnknownName:
            return None

    def _not_found(self, model_id: str) -> ApiError:
        served = ", ".join(model.id for model in self.served()) or "none yet"
        known = any(model_id in (card.name, card.short_name) for card in CATALOG.values())
        what = "is in the catalog, but not served here" if known else "is not known here"
        return ApiError(
            404, "model_not_found", f"The model {model_id!r} {what}. Models that are: {served}.", param="model"
        )


def _known(given: str) -> ModelSource:
    try:
        return model_source(given)
    except UnknownName as error:
        raise ConfigurationError(
            f"The model {given!r} to be served is neither a folder or file, nor in the catalog, nor a hub id such as "
            f"owner/name. {error}"
        ) from error


def _unavailable(slot: Slot) -> ApiError:
    match slot.state:
        case "unloaded":
            return unloaded(slot.id)
        case "error":
            return ApiError(
                503,
                "model_failed",
                f"The model {slot.id!r} could not be loaded. The server operator can see why.",
            )
        case _:
            return ApiError(
                503,
                "model_loading",
                f"The model {slot.id!r} is being loaded. Ask again in a moment.",
                retry_after=LOADING_SECONDS,
            )
