"""The application on several machines by Ray Serve, with autoscaled replicas of each model.

Each model is an application of Ray Serve without a route, whose replicas have their own queues
(`hosting.remote_model`). Another application, the front, has the routes, the accounts and the decoding; it finds the
models by name. Accounts are in PostgreSQL.
"""

import asyncio
import logging
import math
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from sonant.server.settings import Replicas, ServerSettings

logger = logging.getLogger(__name__)

FRONT = "sonant"  # the name of the application with the routes
HANDLER_SECONDS = 0.05  # between settings of our handlers of signals, while Ray starts
POLL_SECONDS = 0.2


def run_on_ray(settings: ServerSettings, *, announce: Announce) -> int:
    """Deploy, serve until SIGTERM or SIGINT, and take everything down; return the exit code.

    Joins the Ray cluster of RAY_ADDRESS, or starts one on this machine. Signals take effect at any moment, as Ray is
    called in another thread; a second one ends the process.

    Raises:
        ConfigurationError: the database is not PostgreSQL, the machine is too small for the models, or as in `run`.
        CheckpointError: a model cannot be loaded.
        MissingExtra: Ray is not installed.
    """
    if not settings.database_url.startswith("postgresql"):
        raise ConfigurationError(
            f"With --ray the accounts must be where every machine reaches them, but the database is "
            f"{settings.database_url.partition(':')[0]}. Name one with --database postgresql+psycopg://user@host/name."
        )
    _set_environment(settings)
    try:
        import ray  # noqa: F401
        from ray import serve  # noqa: F401
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
    deployment = Deployment(settings, slots, host, port)
    woken, is_stopping = threading.Event(), False

    def stop(number: int, _: object) -> None:
        nonlocal is_stopping
        is_stopping = True
        signal.signal(number, signal.SIG_DFL)
        woken.set()

    def set_handlers() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if not is_stopping:
                signal.signal(number, stop)

    set_handlers()
    deployment.start(on_end=woken.set)
    try:
        while not woken.wait(HANDLER_SECONDS):  # Ray sets handlers of its own as it connects
            set_handlers()
        if not is_stopping:
            deployment.raise_failure()
            announce(greeting(settings, host, port, key))
            woken.clear()
            if not is_stopping:
                woken.wait()
    finally:
        deployment.stop()
    return 0


class Deployment:
    """The applications of a server on Ray Serve, deployed in a thread of their own."""

    def __init__(self, settings: ServerSettings, slots: Sequence[Slot], host: str, port: int) -> None:
        self._settings, self._slots, self._host, self._port = settings, slots, host, port
        self._stopping = threading.Event()
        self._names: list[str] = []  # applications, in the order of their deployment
        self._failure: Exception | None = None

    def start(self, *, on_end: Callable[[], None]) -> None:
        """Start a thread that deploys everything; `on_end` is called when that is done, or has failed."""

        def work() -> None:
            try:
                self._deploy()
            except Exception as error:  # noqa: BLE001 - raised in the main thread
                self._failure = error
            finally:
                on_end()
            self._stopping.wait()  # the processes of a cluster that is started here end with the thread that started it
            self._take_down()

        self._thread = threading.Thread(target=work, name="sonant-deployment", daemon=True)
        self._thread.start()

    def raise_failure(self) -> None:
        """Raise the error of the deployment, if there is one."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop what was deployed, the front first, so that running requests finish; and leave or stop the cluster."""
        self._stopping.set()
        self._thread.join()

    def _take_down(self) -> None:
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        try:
            for name in reversed(self._names):
                serve.delete(name)
        except Exception:
            logger.exception("not everything that was deployed could be taken down")
        finally:
            ray.shutdown()

    def _deploy(self) -> None:
        import ray
        from ray import serve

        is_own = "RAY_ADDRESS" not in os.environ
        here = {"address": "local", "include_dashboard": False}
        if self._settings.replicas.host is not None:
            here["_node_ip_address"] = self._settings.replicas.host
        ray.init(namespace="sonant", **(here if is_own else {}))
        replicas = fitting(self._settings.replicas, len(self._slots), ray.cluster_resources(), may_grow=not is_own)
        serve.start(http_options={"host": self._host, "port": self._port})
        models = {name_of(slot.id): _replicas(self._settings, slot, replicas) for slot in self._slots}
        self._run(models, route=None)
        self._run({FRONT: _front(self._settings)}, route="/")

    def _run(self, applications: Mapping[str, Any], *, route: str | None) -> None:
        """Deploy applications and wait until they run, or everything is to stop."""
        from ray import serve

        if self._stopping.is_set():
            return
        self._names += applications
        targets = [serve.RunTarget(target, name, route) for name, target in applications.items()]
        serve.run_many(targets, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)
        while not self._stopping.wait(POLL_SECONDS):
            found = serve.status().applications
            for name in applications:
                if found[name].status in {"DEPLOY_FAILED", "UNHEALTHY"}:
                    raise CheckpointError(f"{name} could not be started: {found[name].message}")
            if all(found[name].status == "RUNNING" for name in applications):
                return


def _set_environment(settings: ServerSettings) -> None:
    """Set what Ray reads as it is imported, here and in the processes that it starts."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no reports to its makers
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # who does not know a secret of this user is refused
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # a call after the end starts no cluster
    if "RAY_ADDRESS" not in os.environ and settings.replicas.host is None:
        # Whether this machine may be part of a cluster of several; without, everything listens on 127.0.0.1.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def fitting(replicas: Replicas, num_models: int, there: Mapping[str, float], *, may_grow: bool) -> Replicas:
    """Return the settings with the CPUs of a replica, and no more replicas than there is room for.

    Without `cpus` in the settings a replica takes one, or its part of the machine where that has fewer.

    Args:
        there: CPU and GPU of the cluster.
        may_grow: whether machines may be added to it; then nothing is refused.

    Raises ConfigurationError: the least number of replicas does not fit.
    """
    least = num_models * replicas.minimum
    has_cpus, has_gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    cpus = replicas.cpus
    if cpus is None:
        cpus = 1.0 if may_grow else min(1.0, math.floor(1000 * has_cpus / least) / 1000)
    if may_grow:
        return replace(replicas, cpus=cpus)
    for what, each, has in (("CPUs", cpus, has_cpus), ("GPUs", replicas.gpus, has_gpus)):
        if least * each > has:
            raise ConfigurationError(
                f"{num_models} models with {replicas.minimum} replicas of {each:g} {what} each take {least * each:g} "
                f"{what}, and this machine has {has:g}. Serve fewer models, set replicas.{what.lower()} to "
                f"{has / least:.3g} or less, or name a larger cluster with RAY_ADDRESS."
            )
    room = min(has / (num_models * each) for each, has in ((cpus, has_cpus), (replicas.gpus, has_gpus)) if each)
    return replace(replicas, cpus=cpus, maximum=max(replicas.minimum, min(replicas.maximum, int(room))))


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


def _replicas(settings: ServerSettings, slot: Slot, replicas: Replicas) -> Any:
    from ray import serve

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
        "ray_actor_options": {"num_cpus": 0},  # it waits for replicas, and decodes in processes of its own
    }
    return serve.deployment(serve.ingress(Front(settings))(Ingress), name="front", **options).bind()


async def _first_admin_key(settings: ServerSettings) -> str | None:
    async with Accounts(settings) as accounts:
        return await accounts.first_admin_key()
