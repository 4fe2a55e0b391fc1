"""The cost and the limits of `sonant serve`: load, overload, a killed server, and the overhead of one request.

    python -m benchmarks.serving [--quick] [--speech FOLDER] [--model ID] [--requests 5000] [--clients 64]
                                 [--overload-seconds 60] [--out FOLDER]

load       many clients, each with one request at a time, beside `SpeechEncoder.encode` on the same recordings in one
           process; both are measured in turn (encode, load, encode), each in processes of its own.
overload   three times as many requests as that, in an open loop: how many are refused, how fast, and the memory taken.
killed     kill -9 under load, and a new start: is every credit right, was anything charged twice, do keys still work?
overhead   a lone short recording over HTTP, beside its encoding alone, and beside a route that does nothing.

The requests are those of the `openai` client: JSON with base64 in and out. The clients take their share of the same
processor, which the server does not get.
"""

import argparse
import base64
import io
import json
import multiprocessing
import os
import platform
import socket
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Timer
from time import perf_counter, sleep
from typing import Any, TypeVar

from benchmarks.http_load import Outcome, Target, closed_loop, open_loop
from benchmarks.server_process import Books, ServerProcess, free_port, make_keys

EXAMPLES = Path(__file__).parent.parent / "examples/speech"
ENDINGS = {".flac", ".wav", ".ogg", ".opus", ".mp3"}
T = TypeVar("T")
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON; the exit code is 1 if a requirement was not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--speech", type=Path, default=EXAMPLES, help="a folder of recordings")
    parser.add_argument("--requests", type=int, default=5000, help="of the load")
    parser.add_argument("--clients", type=int, default=64, help="at once")
    parser.add_argument("--overload-seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="few of everything: whether it runs, not how fast")
    parser.add_argument("--out", type=Path, default=Path("runs/serving"), help="folder for the JSON")
    options = parser.parse_args(arguments)
    if options.quick:
        options.requests, options.clients, options.overload_seconds = 12, 4, 2.0
    clips = [path.read_bytes() for path in sorted(options.speech.rglob("*")) if path.suffix.lower() in ENDINGS]
    report = measure(options, clips)
    print(table(report))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "serving.json").write_text(json.dumps(report, indent=2) + "\n")
    broken = [promise for promise, kept in report["promises"].items() if not kept]
    for promise in broken:
        print(f"not kept: {promise}", file=sys.stderr)
    return 1 if broken else 0


def measure(options: argparse.Namespace, clips: Sequence[bytes]) -> Row:
    """Measure load, overload, overhead and a kill, in turn."""
    seconds = audio_seconds(clips)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        keys = make_keys(data, options.clients, Decimal(1_000_000))
        server = ServerProcess(data, options.model)
        server.start()
        target = Target(server.port, keys, [request(options.model, clip) for clip in clips])
        try:
            load = measure_load(options, server, target, clips, seconds)
            overload = measure_overload(options, server, target, load["requests_per_second"], seconds)
            overhead = measure_overhead(options, server, keys[0], clips[0])
            killed = measure_kill(options, server, target)
        finally:
            server.kill()
    return {
        "machine": machine(),
        "model": options.model,
        "clips": {"number": len(clips), "seconds": round(statistics.mean(seconds), 2)},
        "ready_seconds": round(server.ready_seconds, 2),
        "load": load,
        "overload": overload,
        "killed": killed,
        "overhead": overhead,
        "promises": promises(load, overload, killed, quick=options.quick),
    }


def measure_load(
    options: argparse.Namespace, server: ServerProcess, target: Target, clips: Sequence[bytes], seconds: Sequence[float]
) -> Row:
    """Measure the speed under load, between two measurements of `encode` alone."""
    encode = partial(alone, encode_rate, options.model, clips, max(len(clips), options.requests // 5))
    alone(partial(closed_loop, target, clients=options.clients, requests=options.clients))  # warm
    before = encode()
    start = perf_counter()
    with server.memory() as memory:
        outcomes = alone(partial(closed_loop, target, clients=options.clients, requests=options.requests))
    wall = perf_counter() - start
    after = encode()
    rate = sum(seconds[outcome.clip] for outcome in outcomes if outcome.status == 200) / wall
    return {
        "clients": options.clients,
        "requests": len(outcomes),
        "statuses": statuses(outcomes),
        "requests_per_second": len(outcomes) / wall,
        "audio_seconds_per_second": rate,
        "encode_audio_seconds_per_second": [before, after],
        "share_of_encode": rate / statistics.mean([before, after]),
        "latency": percentiles([outcome.seconds for outcome in outcomes]),
        "memory_mib": max(memory, default=0.0),
    }


def measure_overload(
    options: argparse.Namespace, server: ServerProcess, target: Target, capacity: float, seconds: Sequence[float]
) -> Row:
    """Measure the answers to three times as many requests per second as the server can serve."""
    start = perf_counter()
    with server.memory() as memory:
        outcomes = alone(
            partial(open_loop, replace(target, name="over"), rate=3 * capacity, seconds=options.overload_seconds)
        )
    wall = perf_counter() - start
    served = [outcome for outcome in outcomes if outcome.status == 200]
    refused = [outcome.seconds for outcome in outcomes if outcome.status == 429]
    quarter = max(1, len(memory) // 4)
    return {
        "requests_per_second": 3 * capacity,
        "requests": len(outcomes),
        "statuses": statuses(outcomes),
        "audio_seconds_per_second": sum(seconds[outcome.clip] for outcome in served) / wall,
        "latency": percentiles([outcome.seconds for outcome in served]),
        "refusal": percentiles(refused),
        "refused_within_a_second": sum(taken <= 1 for taken in refused) / len(refused) if refused else None,
        "memory_mib": max(memory, default=0.0),
        "memory_mib_by_quarter": [round(max(memory[i : i + quarter])) for i in range(0, len(memory), quarter)],
    }


def measure_kill(options: argparse.Namespace, server: ServerProcess, target: Target) -> Row:
    """Kill the server while all clients wait for answers; start it again on the same data; check its accounts."""
    target = replace(target, name="killed")
    timer = Timer(1.0 if options.quick else 5.0, server.kill)
    timer.start()
    outcomes = alone(partial(closed_loop, target, clients=options.clients, requests=10**9, until_failure=True))
    timer.join()
    server.start()
    number = len(target.keys)
    again = alone(partial(closed_loop, replace(target, name="again"), clients=number, requests=number))
    code = server.stop()
    books = Books.read(server.data)
    charged = Counter(books.request_ids)
    answered = {outcome.request_id for outcome in outcomes if outcome.status == 200}
    return {
        "answered": len(answered),
        "cut_off": sum(outcome.status == 0 for outcome in outcomes),
        "charged": sum(name.startswith("killed-") for name in charged),
        "answered_and_not_charged": len(answered - charged.keys()),
        "charged_twice": sum(times > 1 for name, times in charged.items() if name.startswith(("killed-", "again-"))),
        "held": books.held,
        "users_out_of_balance": books.unbalanced,
        "keys": number,
        "keys_that_work": sum(outcome.status == 200 for outcome in again),
        "ready_seconds": round(server.ready_seconds, 2),
        "exit_code": code,
    }


def measure_overhead(options: argparse.Namespace, server: ServerProcess, key: str, clip: bytes) -> Row:
    """Measure the overhead of serving one second of speech to one client."""
    times = 5 if options.quick else 300
    short = first_second(clip)
    body = request(options.model, short)
    ask = partial(closed_loop, clients=1, requests=times)
    served = alone(partial(ask, Target(server.port, [key], [body], name="short")))
    encoded = alone(encode_times, options.model, short, times)
    port = free_port()
    nothing = multiprocessing.get_context("spawn").Process(target=serve_nothing, args=(port,))
    nothing.start()
    try:
        wait_for(port)
        empty = alone(partial(ask, Target(port, [key], [body], path="/")))
    finally:
        nothing.terminate()
        nothing.join()
    served_ms, encoded_ms, empty_ms = (
        1000 * statistics.median(values)
        for values in ([one.seconds for one in served], encoded, [one.seconds for one in empty])
    )
    return {
        "requests": times,
        "statuses": statuses(served),
        "served_ms": served_ms,
        "encode_ms": encoded_ms,
        "overhead_ms": served_ms - encoded_ms,
        "empty_route_ms": empty_ms,
    }


def alone(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own, and return its result."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def encode_rate(model: str, clips: Sequence[bytes], number: int) -> float:
    """Return the seconds of audio that `encode` processes per second, over so many recordings."""
    import sonant

    encoder = sonant.load(model)
    work = [clips[i % len(clips)] for i in range(number)]
    encoder.encode(list(clips), pool="mean")
    start = perf_counter()
    encoder.encode(work, pool="mean")
    wall = perf_counter() - start
    seconds = audio_seconds(clips)
    return sum(seconds[i % len(clips)] for i in range(number)) / wall


def encode_times(model: str, clip: bytes, number: int) -> list[float]:
    """Return the seconds that encoding one recording takes, each time."""
    import sonant

    encoder = sonant.load(model)
    times = []
    for _ in range(number + 3):
        start = perf_counter()
        encoder.encode(clip, pool="mean")
        times.append(perf_counter() - start)
    return times[3:]


def audio_seconds(clips: Sequence[bytes]) -> list[float]:
    from sonant import audio

    return [audio.duration(clip) for clip in clips]


def first_second(clip: bytes) -> bytes:
    """Return the first second of a recording as FLAC."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(clip))
    cut = io.BytesIO()
    soundfile.write(cut, samples[:rate], rate, format="FLAC")
    return cut.getvalue()


def serve_nothing(port: int) -> None:
    """Serve a route of FastAPI and uvicorn that reads the body and answers, without sonant."""
    import uvicorn
    from fastapi import FastAPI, Request

    app = FastAPI()

    @app.post("/")
    async def nothing(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    uvicorn.run(app, port=port, log_level="warning")


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def request(model: str, clip: bytes) -> bytes:
    """Return the body that the `openai` client sends for one recording."""
    content = {"model": model, "input": base64.b64encode(clip).decode(), "encoding_format": "base64"}
    return json.dumps(content).encode()


def statuses(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {str(status): number for status, number in sorted(Counter(outcome.status for outcome in outcomes).items())}


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    if len(seconds) < 2:
        return None
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}


def promises(load: Row, overload: Row, killed: Row, *, quick: bool) -> dict[str, bool]:
    """Return whether each requirement is met, by name; those of speed are left out of a quick run."""
    kept = {
        "every request of the load is answered with 200": set(load["statuses"]) == {"200"},
        "overload is answered with 200 or 429 alone": set(overload["statuses"]) <= {"200", "429"},
        "no credit is wrong after kill -9": killed["users_out_of_balance"] == killed["held"] == 0,
        "nothing answered went uncharged": killed["answered_and_not_charged"] == 0,
        "nothing was charged twice": killed["charged_twice"] == 0,
        "every key works after kill -9": killed["keys_that_work"] == killed["keys"],
        "SIGTERM ends it with 0": killed["exit_code"] == 0,
    }
    if not quick:
        kept["load: 85 % of encode"] = load["share_of_encode"] >= 0.85
        kept["overload: refusals within a second"] = (overload["refused_within_a_second"] or 0) >= 0.999
    return kept


def machine() -> str:
    import torch

    return (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}"
    )


def table(report: Row) -> str:
    """Format the report as tables and text."""
    load, over, killed, cost = (report[name] for name in ("load", "overload", "killed", "overhead"))
    rows = [
        ["", "requests/s", "audio s/s", "of encode", "p50 s", "p95 s", "p99 s", "answers", "MiB"],
        ["---"] * 9,
        [f"load, {load['clients']} clients", *_speed(load), f"{load['share_of_encode']:.0%}", *_latency(load)],
        ["overload, three times that", *_speed(over), "", *_latency(over)],
        ["its refusals", "", "", "", *_percentiles(over["refusal"]), "", ""],
    ]
    return f"""\
{report["model"]} on {report["machine"]}; ready after {report["ready_seconds"]} s
{report["clips"]["number"]} recordings of {report["clips"]["seconds"]} s on average

{chr(10).join(f"| {' | '.join(row)} |" for row in rows)}

kill -9: {killed["answered"]} answered, {killed["cut_off"]} cut off, {killed["charged"]} charged, \
{killed["charged_twice"]} twice, {killed["users_out_of_balance"]} users out of balance; \
{killed["keys_that_work"]} of {killed["keys"]} keys work; ready again after {killed["ready_seconds"]} s
one second of speech: {cost["served_ms"]:.2f} ms over HTTP, {cost["encode_ms"]:.2f} ms encoded alone, \
{cost["overhead_ms"]:.2f} ms between; a FastAPI route that does nothing: {cost["empty_route_ms"]:.2f} ms"""


def _speed(row: Row) -> list[str]:
    return [f"{row['requests_per_second']:.1f}", f"{row['audio_seconds_per_second']:.0f}"]


def _latency(row: Row) -> list[str]:
    answers = ", ".join(f"{number} × {status}" for status, number in row["statuses"].items())
    return [*_percentiles(row["latency"]), answers, f"{row['memory_mib']:.0f}"]


def _percentiles(latency: dict[str, float] | None) -> list[str]:
    return [""] * 3 if latency is None else [f"{latency[name]:.3f}" for name in ("p50", "p95", "p99")]


if __name__ == "__main__":
    sys.exit(main())
