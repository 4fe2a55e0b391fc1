"""The playground page, on which visitors try a model with recordings; static/playground/ calls the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from markupsafe import Markup

from sonant.models.abilities import Ability
from sonant.server.accounts.sessions import Session
from sonant.server.authentication import signed_in
from sonant.server.hosting.served_model import State
from sonant.server.services import Services, services_of
from sonant.server.web.entries import Cost, ModelEntry, entry
from sonant.server.web.pages import as_json, render, static

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ExampleRecording:
    """An example recording; see static/speech/README.md.

    Attributes:
        file: in static/speech.
        title: the speaker and the language.
        credit, source: the name and the site of the speaker.
        license, license_address: of the recording.
    """

    file: str
    title: str
    credit: str
    source: str
    license: str = "CC BY-SA 3.0"
    license_address: str = "https://creativecommons.org/licenses/by-sa/3.0/"

    @property
    def address(self) -> str:
        return static(f"speech/{self.file}")


EXAMPLES = (
    ExampleRecording("en-allison-welcome.flac", "Allison, in English", "Allison Smith", "http://www.theivrvoice.com"),
    ExampleRecording("es-allison-away.flac", "Allison, in Spanish", "Allison Smith", "http://www.theivrvoice.com"),
    ExampleRecording("fr-june-queue.flac", "June, in French", "June Wallack", "http://www.junewallack.com"),
)

WHY_NOT: Mapping[State, str] = {
    "loading": "is being loaded: open this page again in a moment.",
    "error": "could not be loaded. The operator of this server can see why on the admin page.",
    "unloaded": "is not loaded here. You can vote for it on its page.",
    "coming_soon": "is not loaded here yet, and will be. You can vote for it on its page.",
}


@dataclass(frozen=True, kw_only=True)
class TaskLayer:
    """The layer for a task, and the reason."""

    name: str
    layer: int
    why: str


@dataclass(frozen=True, kw_only=True)
class PlaygroundModel:
    """Facts of a model for the plots of the playground.

    Attributes:
        dim: width of a frame.
        num_layers: layers are numbered 0 to this.
        frame_rate: frames a second.
        first_layer: the layer shown first.
    """

    id: str
    dim: int
    num_layers: int
    frame_rate: float
    abilities: tuple[Ability, ...]
    tasks: tuple[TaskLayer, ...]
    first_layer: int
    price: Cost

    @classmethod
    def of(cls, model: ModelEntry) -> "PlaygroundModel | None":
        """Make it from the entry of a model; None unless the model is loaded."""
        specs = model.specs
        if model.state != "live" or specs is None:
            return None
        tasks = [TaskLayer(name=name, layer=preset.layer, why=preset.why) for name, preset in specs.presets.items()]
        return cls(
            id=model.id,
            dim=specs.dim,
            num_layers=specs.num_layers,
            frame_rate=specs.frame_rate,
            abilities=model.abilities,
            tasks=tuple(tasks),
            first_layer=specs.presets["content"].layer,
            price=model.price,
        )


@dataclass(frozen=True, kw_only=True)
class PlaygroundPage:
    """The data of the playground page.

    Attributes:
        models: ids of the loaded models.
        model: the selected one; None if it is not loaded.
        problem: why it is not loaded.
        may_call: whether the visitor may use the API.
        sign_up: whether visitors may create accounts.
    """

    models: tuple[str, ...]
    model: PlaygroundModel | None
    problem: str | None
    examples: tuple[ExampleRecording, ...]
    may_call: bool
    sign_up: bool


@router.get("/playground")
async def playground(
    request: Request,
    model: str = "",
    session: Session | None = Depends(signed_in),
    services: Services = Depends(services_of),
) -> Response:
    settings = services.settings
    live = tuple(served.id for served in services.models.served())
    chosen, problem = None, None
    if model or live:
        known = await entry(services, model or live[0])
        chosen = PlaygroundModel.of(known)
        problem = None if chosen else f"{known.id} {WHY_NOT.get(known.state, WHY_NOT['loading'])}"
    else:
        problem = "No model is loaded yet: open this page again in a moment."
    page = PlaygroundPage(
        models=live,
        model=chosen,
        problem=problem,
        examples=EXAMPLES,
        may_call=session is not None or settings.anonymous,
        sign_up=settings.accounts.sign_up,
    )
    facts: dict[str, Any] = {
        "model": chosen,
        "may_call": page.may_call,
        "is_charged": session is not None,
        "csrf_token": session.csrf_token if session else None,
        "currency": settings.accounts.currency,
        "base_url": str(request.base_url).rstrip("/"),
        "max_bytes": settings.limits.audio_bytes,
        "max_seconds": settings.limits.audio_seconds,
    }
    inert = as_json(facts).decode().replace("<", "\\u003c")  # inside a script element, which "</script>" would end
    return render(request, "playground.html", page, facts=Markup(inert))  # noqa: S704 - no markup is in it
