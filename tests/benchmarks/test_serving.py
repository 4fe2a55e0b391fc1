"""The load generator counts what it sends and what it gets; the whole benchmark runs, at a tiny size."""

import asyncio
import json
import sqlite3
from pathlib import Path
from time import perf_counter

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from benchmarks import serving
from benchmarks.http_load import Target, closed_loop, open_loop
from benchmarks.server_process import Books, family, make_keys, resident_mib
from tests.server.operations.standing import standing


class Slow:
    """Takes a moment for each request, refuses those beyond `room`, and notes who asked what."""

    def __init__(self, seconds: float = 0.0, room: int = 1000) -> None:
        self.seconds, self.room = seconds, room
        self.asked: list[tuple[str, str, bytes]] = []
        self.running = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append((request.headers["x-request-id"], request.headers["authorization"], await request.body()))
        if self.running >= self.room:
            await PlainTextResponse("full", 429, {"connection": "close"})(scope, receive, send)
            return
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        await PlainTextResponse("x" * 100_000)(scope, receive, send)


def test_a_closed_loop_keeps_so_many_requests_going() -> None:
    app = Slow(0.02)
    with standing(app) as port:
        outcomes = closed_loop(Target(port, ["a", "b"], [b"one", b"two", b"three"]), clients=4, requests=30)
    assert app.most == 4
    assert sorted(outcome.request_id for outcome in outcomes) == sorted(asked[0] for asked in app.asked)
    assert {outcome.status for outcome in outcomes} == {200}
    assert all(outcome.seconds >= 0.02 for outcome in outcomes)
    assert {asked[1] for asked in app.asked} == {"Bearer a", "Bearer b"}
    for outcome in outcomes:
        (body,) = [asked[2] for asked in app.asked if asked[0] == outcome.request_id]
        assert body == [b"one", b"two", b"three"][outcome.clip]


def test_an_open_loop_does_not_wait_for_answers() -> None:
    app = Slow(0.5, room=5)
    with standing(app) as port:
        start = perf_counter()
        outcomes = open_loop(Target(port, ["a"], [b"one"]), rate=40, seconds=1)
        assert perf_counter() - start < 3
    assert 20 < len(outcomes) < 70, "as many as were due, at a server that does ten a second"
    served = [outcome for outcome in outcomes if outcome.status == 200]
    assert app.most == 5
    assert len(served) + sum(outcome.status == 429 for outcome in outcomes) == len(outcomes)
    assert all(outcome.seconds >= 0.5 for outcome in served)


def test_a_server_that_is_gone_is_an_outcome() -> None:
    (outcome,) = closed_loop(Target(1, ["a"], [b"one"]), clients=1, requests=9, until_failure=True)
    assert outcome.status == 0


def test_the_books_show_what_is_wrong(tmp_path: Path) -> None:
    assert len(make_keys(tmp_path, 2, serving.Decimal(3))) == 2
    assert Books.read(tmp_path) == Books(unbalanced=0, held=0, request_ids=[])
    with sqlite3.connect(tmp_path / "sonant.db") as database:
        database.execute("UPDATE users SET credit = credit - 1 WHERE id = 1")
    assert Books.read(tmp_path).unbalanced == 1


def test_memory_is_that_of_a_process_and_its_children() -> None:
    import multiprocessing
    import os

    child = multiprocessing.get_context("spawn").Process(target=serving.sleep, args=(30,))
    child.start()
    try:
        assert set(family(os.getpid())) >= {os.getpid(), child.pid}
        assert resident_mib(os.getpid()) > 10
    finally:
        child.kill()
        child.join()
    assert resident_mib(child.pid) == 0


@pytest.mark.slow
def test_the_whole_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serving.main(["--quick", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "serving.json").read_text())
    printed = capsys.readouterr().out
    assert report["load"]["statuses"] == {"200": 12}
    assert report["killed"]["cut_off"] == report["load"]["clients"] == 4
    assert f"{report['load']['audio_seconds_per_second']:.0f}" in printed
    assert report["overhead"]["served_ms"] > report["overhead"]["empty_route_ms"] > 0
    assert all(report["promises"].values())
