"""The application on several machines by Ray Serve, with autoscaled replicas of each model.

Each model is an application of Ray Serve without a route, whose replicas have their own queues
(`hosting.remote_model`). Another application, the front, has the routes, the accounts and the decoding; it finds the
models by name. Accounts are in PostgreSQL.
"""

import asyncio
import os
import re
import signal
import threading
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from sonant.api import load
from sonant.errors import CheckpointError, ConfigurationError, MissingExtra
from sonant.server.accounts.accounts import Accounts
from sonant.server.app import create_app
from sonant.server.hosting.devices import ComputeThreads
from sonant.server.hosting.local_model import LocalModel
from sonant.server.hosting.pool import ModelPool, Slot
from sonant.server.hosting.remote_model import RemoteModel, Replica
from sonant.server.metrics import Metrics
from sonant.server.operations import logs
from sonant.server.run import Announce, bind, greeting, make_data_folder, write_secret
from sonant.server.settings import ServerSettings

FRONT = "sonant"  # the name of the application with the routes


def run_on_ray(settings: ServerSettings, *, announce: Announce) -> int:
    """Deploy, serve until SIGTERM or SIGINT, and shut down; return the exit code.

    Joins the Ray cluster of RAY_ADDRESS, or starts one on this machine.

    Raises:
        ConfigurationError: the database is not PostgreSQL, or as in `run`.
        CheckpointError: a model cannot be loaded.
        MissingExtra: Ray is not installed.
    """
    if not settings.database_url.startswith("postgresql"):
        raise ConfigurationError(
            f"With --ray the accounts must be where every machine reaches them, but the database is "
            f"{settings.database_url.partition(':')[0]}. Name one with --database postgresql+psycopg://user@host/name."
        )
    try:
        import ray
        from ray import serve
    except ModuleNotFoundError as error:
        raise MissingExtra("ray", extra="ray", purpose="sonant serve --ray") from error
    logs.set_up(settings.log_format)
    make_data_folder(settings.data)
    with bind(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
    slots = ModelPool(settings, Metrics()).hosted()
    key = asyncio.run(_first_admin_key(settings))
    if key is not None:
        write_secret(settings.data / "admin_key", key)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # disables usage reports of Ray
    ray.init(namespace="sonant", **({} if "RAY_ADDRESS" in os.environ else {"include_dashboard": False}))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # only now: Ray installs its own handlers
        signal.signal(number, lambda *_: stop.set())
    try:
        serve.start(http_options={"host": host, "port": port})
        for slot in slots:
            _deploy(_replicas(settings, slot), name_of(slot.id), route=None)
        _deploy(_front(settings), FRONT, route="/")
        announce(greeting(settings, host, port, key))
        stop.wait()
    finally:
        for name in (FRONT, *(name_of(slot.id) for slot in slots)):
            serve.delete(name)
        ray.shutdown()
    return 0


def name_of(model_id: str) -> str:
    """Return the name of the application of a model."""
    return f"{FRONT}-model-{re.sub(r'[^A-Za-z0-9]+', '-', model_id)}"


class Front:
    """The application, made in the process in which it runs, since it cannot be pickled."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            logs.set_up(self._settings.log_format)
            self._app = create_app(self._settings, partial(_remote_model, self._settings))
        await self._app(scope, receive, send)


def _remote_model(settings: ServerSettings, slot: Slot) -> RemoteModel:
    from ray import serve
    from ray.serve.exceptions import BackPressureError

    handle = serve.get_app_handle(name_of(slot.id))
    return RemoteModel(slot.id, load(slot.origin, device="cpu"), settings.queue, handle, BackPressureError)


class ModelReplica(Replica):
    """A replica of a model, made by Ray in its process."""

    def __init__(self, settings: ServerSettings, model_id: str, origin: str) -> None:
        logs.set_up(settings.log_format)
        encoder = load(origin, device=list(settings.devices) or None)
        super().__init__(LocalModel(model_id, encoder, settings, ComputeThreads(), Metrics()))


def _replicas(settings: ServerSettings, slot: Slot) -> Any:
    from ray import serve

    replicas = settings.replicas
    options = {
        "autoscaling_config": {
            "min_replicas": replicas.minimum,
            "max_replicas": replicas.maximum,
            "target_ongoing_requests": replicas.requests,
        },
        "max_ongoing_requests": settings.limits.concurrent_requests,
        "graceful_shutdown_timeout_s": settings.drain_seconds,
        "ray_actor_options": {"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
    }
    return serve.deployment(ModelReplica, name="model", **options).bind(settings, slot.id, slot.origin)


def _front(settings: ServerSettings) -> Any:
    from ray import serve

    class Ingress:
        """The class that Ray Serve runs; its routes are those of the application."""

    options = {
        "max_ongoing_requests": settings.limits.concurrent_requests + 256,  # refuses requests itself
        "graceful_shutdown_timeout_s": settings.drain_seconds,
    }
    return serve.deployment(serve.ingress(Front(settings))(Ingress), name="front", **options).bind()


def _deploy(application: Any, name: str, *, route: str | None) -> None:
    from ray import serve

    try:
        serve.run(application, name=name, route_prefix=route)
    except RuntimeError as error:
        raise CheckpointError(f"{name} could not be started: {error}") from error


async def _first_admin_key(settings: ServerSettings) -> str | None:
    async with Accounts(settings) as accounts:
        return await accounts.first_admin_key()
