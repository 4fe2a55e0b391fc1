"""The services of a server, used by routes."""

from dataclasses import dataclass, field
from time import time

from fastapi import Request

from sonant.server.accounts.accounts import Accounts
from sonant.server.hosting.pool import ModelPool
from sonant.server.intake.decoder import AudioDecoder
from sonant.server.intake.fetch import Fetcher
from sonant.server.metrics import Metrics
from sonant.server.settings import ServerSettings


@dataclass
class Services:
    """The services of one server.

    Attributes:
        settings: of the server.
        models: the pool of loaded models.
        decoder: decodes bytes to waveforms.
        fetcher: fetches bytes from addresses.
        accounts: users, keys, credit and usage.
        metrics: for Prometheus.
        draining: whether the server is stopping and refuses new requests.
        running_requests: number of running API requests.
        started: unix seconds of the start.
    """

    settings: ServerSettings
    models: ModelPool
    decoder: AudioDecoder
    fetcher: Fetcher
    accounts: Accounts
    metrics: Metrics
    draining: bool = False
    running_requests: int = 0
    started: float = field(default_factory=time)


def services_of(request: Request) -> Services:
    """Return the services of the application of a request; a dependency of routes."""
    services: Services = request.app.state.services
    return services
