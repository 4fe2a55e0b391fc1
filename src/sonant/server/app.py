"""The ASGI application, made from settings; nothing is started before its lifespan begins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from sonant import __version__
from sonant.server import errors
from sonant.server.accounts.accounts import Accounts
from sonant.server.hosting.pool import MakeModel, ModelPool
from sonant.server.intake.decoder import AudioDecoder
from sonant.server.intake.fetch import Fetcher
from sonant.server.metrics import Metrics
from sonant.server.operations import health
from sonant.server.operations.body_limits import BodyLimits
from sonant.server.operations.cross_origin import CrossOrigin
from sonant.server.operations.field_limits import FieldLimits
from sonant.server.operations.gzip_bodies import GzipBodies
from sonant.server.operations.page_turns import PLACES, REST, PageTurns
from sonant.server.operations.proxies import ClientAddresses
from sonant.server.operations.request_ids import RequestIds
from sonant.server.routes import (
    alignments,
    classifications,
    diarizations,
    embeddings,
    enhancements,
    enrollment,
    models,
    people,
    separations,
    transcriptions,
    verification,
    voice_analysis,
    voices,
)
from sonant.server.services import Services
from sonant.server.settings import ServerSettings
from sonant.server.sharing.turns import FairTurns
from sonant.server.web import account, admin, catalog, comparison, model_page, playground, reference, theme, votes
from sonant.server.web.pages import error_page
from sonant.server.web.security_headers import SecurityHeaders
from sonant.server.web.static_files import VersionedFiles

DESCRIPTION = "Speech embeddings, transcripts, speakers and clean speech, behind the interface of OpenAI's clients."


def create_app(settings: ServerSettings, make_model: MakeModel | None = None) -> FastAPI:
    """Make an ASGI application; `make_model` may load models outside of this process."""
    metrics = Metrics()
    services = Services(
        settings=settings,
        models=ModelPool(settings, metrics, make_model),
        decoder=AudioDecoder(settings.limits, workers=settings.num_decode_workers),
        fetcher=Fetcher(settings.fetch_hosts, settings.limits),
        accounts=Accounts(settings),
        metrics=metrics,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.reference = await asyncio.to_thread(reference.reference_page, app)
        async with AsyncExitStack() as stack:
            for part in (services.accounts, services.decoder, services.models):
                await stack.enter_async_context(part)
            yield

    app = FastAPI(
        title="sonant",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # pages of FastAPI load external scripts
        redoc_url=None,
    )
    app.state.services = services
    errors.install(app, error_page)
    for module in (
        embeddings,
        transcriptions,
        verification,
        diarizations,
        alignments,
        classifications,
        enhancements,
        separations,
        voices,
        enrollment,
        voice_analysis,
        people,
        models,
    ):
        app.include_router(module.router, prefix="/v1")
    for module in (health, catalog, model_page, comparison, votes, theme, reference, playground, account, admin):
        app.include_router(module.router)
    app.mount("/static", VersionedFiles(), name="static")
    turns = FairTurns(PLACES, rest=REST)
    app.add_middleware(PageTurns, turns=turns)  # innermost
    app.add_middleware(FieldLimits, turns=turns, page=error_page)
    app.add_middleware(BodyLimits, services=services)
    app.add_middleware(GzipBodies)
    app.add_middleware(RequestIds, services=services, page=error_page)
    if settings.cors_origins:
        app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(ClientAddresses, settings=settings)  # outermost
    return app
