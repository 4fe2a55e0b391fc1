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
from sonant.server.sharing.workload import Workload


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
        started: unix seconds of the start.
        workload: the requests under way.
    """

    settings: ServerSettings
    models: ModelPool
    decoder: AudioDecoder
    fetcher: Fetcher
    accounts: Accounts
    metrics: Metrics
    draining: bool = False
    started: float = field(default_factory=time)
    workload: Workload = field(init=False)

    def __post_init__(self) -> None:
        self.workload = Workload(self.settings.limits, self.metrics)


def services_of(request: Request) -> Services:
    """Return the services of the application of a request; a dependency of routes."""
    services: Services = request.app.state.services
    return services
