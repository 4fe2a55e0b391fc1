"""The same application on Ray Serve, on this machine; once for real, where Ray and PostgreSQL are."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

import sonant
from benchmarks.server_process import free_port
from benchmarks.serving import EXAMPLES, request
from sonant.errors import ConfigurationError, MissingExtra
from sonant.server.accounts.accounts import Accounts
from sonant.server.ray_serve import fitting, name_of, run_on_ray
from sonant.server.settings import Replicas, ServerSettings


def test_accounts_must_be_within_reach_of_every_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"but the database is sqlite.*--database postgresql\+psycopg"):
        run_on_ray(ServerSettings(data=tmp_path), announce=print)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = ServerSettings(data=tmp_path, database="postgresql+psycopg://nobody@nowhere.invalid/x")
    with pytest.raises(MissingExtra, match=r"pip install .*'ray"):
        run_on_ray(settings, announce=print)


@pytest.mark.parametrize(
    ("how", "models", "there", "cpus", "maximum"),
    [
        ({}, 2, {"CPU": 2.0}, 1.0, 1),
        ({}, 3, {"CPU": 2.0}, 0.666, 1),
        ({"minimum": 2}, 3, {"CPU": 2.0}, 0.333, 2),
        ({}, 2, {"CPU": 64.0}, 1.0, 4),
        ({}, 1, {"CPU": 3.0}, 1.0, 3),
        ({"cpus": 0.5}, 2, {"CPU": 2.0}, 0.5, 2),
        ({"gpus": 0.5}, 2, {"CPU": 16.0, "GPU": 1.0}, 1.0, 1),
    ],
)
def test_replicas_fit_the_machine(
    how: dict[str, Any], models: int, there: dict[str, float], cpus: float, maximum: int
) -> None:
    found = fitting(Replicas(**how), models, there, may_grow=False)
    assert (found.cpus, found.maximum) == (cpus, maximum)
    assert models * found.minimum * found.cpus <= there["CPU"]


def test_replicas_that_do_not_fit_are_refused_and_those_of_a_growing_cluster_wait() -> None:
    for how in ({"cpus": 1.5}, {"gpus": 1.0}):
        with pytest.raises(ConfigurationError, match="Serve fewer models, set replicas"):
            fitting(Replicas(**how), 2, {"CPU": 2.0}, may_grow=False)
        assert fitting(Replicas(**how), 2, {"CPU": 2.0}, may_grow=True).maximum == 4


def test_models_have_names_that_ray_takes() -> None:
    assert name_of("sonant/wavlm-tiny") == "sonant-model-sonant-wavlm-tiny"


async def spent(settings: ServerSettings) -> tuple[int, str]:
    """Requests, and what they cost, as the database knows it."""
    async with Accounts(settings) as accounts:
        totals = await accounts.usage.totals()
        return totals.requests, f"{totals.cost:f}"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'")
def test_the_command_serves_on_ray(tmp_path: Path, postgresql: Callable[[], str]) -> None:
    """Answers of two models equal `encode`, are charged in PostgreSQL, and the server stops when told."""
    port, database = free_port(), postgresql()
    sonant.load("sonant/wavlm-tiny").save_pretrained(tmp_path / "second")
    words = ["serve", "--ray", "--data", str(tmp_path), "--port", str(port), "--database", database]
    words += ["--model", "sonant/wavlm-tiny", "--model", str(tmp_path / "second")]
    process = subprocess.Popen(
        [sys.executable, "-m", "sonant", *words], stdout=subprocess.PIPE, stderr=(tmp_path / "log").open("w"), text=True
    )
    try:
        assert any(f"127.0.0.1:{port}/v1" in line for line in iter(process.stdout.readline, "")), "see the log"
        key = (tmp_path / "admin_key").read_text().strip()
        clip = next(EXAMPLES.glob("*.flac"))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        expected, cost = sonant.load("sonant/wavlm-tiny").encode(clip, pool="mean"), Decimal(0)
        for model in ("sonant/wavlm-tiny", "second"):
            body = {**json.loads(request(model, clip.read_bytes())), "encoding_format": "float"}
            asked = Request(f"http://127.0.0.1:{port}/v1/embeddings", json.dumps(body).encode(), headers)
            with urlopen(asked, timeout=60) as told:
                answer = json.load(told)
            np.testing.assert_allclose(answer["data"][0]["embedding"], expected, atol=1e-5)
            cost += Decimal(answer["usage"]["cost"])
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=60) as ready:
            assert ready.status == 200
        assert asyncio.run(spent(ServerSettings(data=tmp_path, database=database))) == (2, f"{cost:f}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3.0, 20.0])
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'")
def test_the_command_stops_while_it_starts(seconds: float, tmp_path: Path, postgresql: Callable[[], str]) -> None:
    words = ["serve", "--ray", "--data", str(tmp_path), "--port", str(free_port()), "--database", postgresql()]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "sonant", *words], stdout=log, stderr=log)
        try:
            while not (tmp_path / "admin_key").exists():  # then Ray is started
                assert process.poll() is None
                time.sleep(0.1)
            time.sleep(seconds)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
            process.wait()
