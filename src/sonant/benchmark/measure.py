"""Measurement of systems in turn, each in its own process, so that other load affects all of them."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sonant.benchmark.cases import Case
from sonant.benchmark.deviation import Deviation
from sonant.benchmark.machine import MachineLimits
from sonant.benchmark.results import MemoryPoint, Speed
from sonant.benchmark.subjects import Subject
from sonant.benchmark.systems import Circumstances, System, reference_of
from sonant.models.families import family_of

PASSES = 9  # passes of one system in one case, at most
FREE_SECONDS = 20.0  # total duration of passes that are made regardless of the time of set-up


@dataclass(frozen=True)
class Setting:
    """The settings of all processes of a run.

    Attributes:
        circumstances: number of threads and other settings of the systems.
        memory_cap: memory limit of a process in bytes; None: no limit.
        folder: for files exchanged between processes.
    """

    circumstances: Circumstances
    memory_cap: int | None
    folder: Path

    def job(self, do: str, subject: Subject | None = None, **more: Any) -> dict[str, Any]:
        """Return the job for a worker process, as `sonant.benchmark.worker` reads it."""
        unilm = self.circumstances.unilm
        about: dict[str, Any] = (
            {}
            if subject is None
            else {
                "source": str(subject.source),
                "sampling_rate": subject.config.sampling_rate,
            }
        )
        return {
            "do": do,
            "threads": self.circumstances.threads,
            "memory_cap": self.memory_cap,
            "unilm": str(unilm) if unilm else None,
            **about,
            **more,
        }


class MeasuringProcess:
    """A running process of `sonant.benchmark.worker`, and the queue of its answers."""

    def __init__(self, job: dict[str, Any]) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(job["threads"]),
            "MKL_NUM_THREADS": str(job["threads"]),
            "TRANSFORMERS_VERBOSITY": "error",
            "KINETO_LOG_LEVEL": "99",  # messages of the profiler
        }
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-W", "ignore", "-m", "sonant.benchmark.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(self, timeout: float | None = None, **order: Any) -> dict[str, Any]:
        """Send a command and wait for the answer; an answer with "stopped" is the last."""
        assert self.process.stdin is not None
        with suppress(OSError):  # the process may have ended: the answer says why
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        return self.answer(timeout)

    def answer(self, timeout: float | None = None) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=None if timeout is None else max(0.1, timeout))
        except queue.Empty:
            self.process.kill()
            return {"stopped": f"took more than {_span(timeout or 0)}"}
        if line is not None:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self.process.wait()
        return {"stopped": "ended by the system, out of memory" if code == -9 else f"its process ended with {code}"}

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Close the standard input of the process, upon which it exits; kill it after 5 s."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listener.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Contest:
    """A comparison of systems on one model, with processes that serve all cases.

    Cases must be in order of size: memory kept from a large case would count as idle memory of a small one.
    """

    def __init__(self, subject: Subject, setting: Setting, limits: MachineLimits) -> None:
        self.subject, self.setting, self.limits = subject, setting, limits
        self._workers: dict[str, MeasuringProcess] = {}

    @property
    def started(self) -> bool:
        """True if any process has been started."""
        return bool(self._workers)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def measure(
        self,
        case: Case,
        systems: Sequence[System],
        *,
        seconds: float,
        deadline: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> list[Speed]:
        """Measure all systems in one case: compare their states, then time passes in turn.

        Args:
            case: the clips.
            systems: the systems to compare.
            seconds: time for the whole case; as many passes as fit, at least one.
            deadline: by `time.monotonic`; systems that take longer are stopped.
            say: called with progress messages.
        """
        begun = time.monotonic()
        seats = [self._seat(system, case, deadline) for system in systems]
        reference = reference_of(systems)
        seats.sort(key=lambda seat: seat.system != reference)  # the others are compared with it
        for seat in seats:
            say(f"preparing {seat.system.title}")
            answer = seat.ask(do="settle", case=case.name)
            if case.checked:
                self._check(seat, reference, case)
                seat.ask(do="settle", case=case.name)
            seat.row.idle_memory = int(answer.get("idle", 0))
            seat.row.note = answer.get("note", "")
        longest = passing = 0.0
        for turn in range(PASSES):
            start = time.monotonic()
            for seat in seats[:: 1 if turn % 2 == 0 else -1]:
                say(f"pass {turn + 1}, {seat.system.title}")
                seat.run_once(case)
            now = time.monotonic()
            longest = max(longest, now - start)
            passing += now - start
            if (now - begun + longest > seconds and passing + longest > FREE_SECONDS) or now + longest > deadline:
                break
        for seat in seats:
            if not case.checked:
                self._check(seat, reference, case)
        order = list(systems)
        return [seat.row for seat in sorted(seats, key=lambda seat: order.index(seat.system))]

    def _seat(self, system: System, case: Case, deadline: float) -> "_Seat":
        worker = self._workers.get(system.name)
        if worker is None or not worker.alive:
            job = self.setting.job("serve", self.subject, system=system.name)
            worker = self._workers[system.name] = MeasuringProcess(job)
        config = self.subject.config
        samples = [round(length * config.sampling_rate) for length in case.seconds]
        row = Speed(
            model=self.subject.name,
            case=case.name,
            system=system.name,
            audio_seconds=case.total_seconds,
            gflop=sum(family_of(config).shape.flops(config, count).total for count in samples) / 1e9,
            floor_seconds=self.limits.seconds(config, samples, system.precision),
        )
        return _Seat(system, worker, row, deadline)

    def _check(self, seat: "_Seat", reference: System | None, case: Case) -> None:
        """Compare the states of the first clips, or the output of the last pass, with the reference."""
        folder, keep = self.setting.folder / f"states-{case.name}", seat.system == reference
        if keep:
            shutil.rmtree(folder, ignore_errors=True)
        elif reference is None or not folder.exists():  # the reference was stopped
            return
        do = "check" if case.checked else "check outputs"
        answer = seat.ask(do=do, case=case.name, num=case.checked, folder=str(folder), keep=keep)
        if answer.get("deviation"):
            seat.row.deviation = Deviation(**answer["deviation"])


@dataclass
class _Seat:
    """The measurements of a system in one case."""

    system: System
    worker: MeasuringProcess
    row: Speed
    deadline: float

    def ask(self, **order: Any) -> dict[str, Any]:
        if self.row.stopped is not None:
            return {}
        left = self.deadline - time.monotonic()
        answer = self.worker.ask(left, **order) if left > 0 else {"stopped": "no time was left"}
        self.row.stopped = answer.get("stopped")
        return answer

    def run_once(self, case: Case) -> None:
        answer = self.ask(do="pass", case=case.name)
        if "wall" in answer:
            self.row.wall.append(answer["wall"])
            self.row.cpu.append(answer["cpu"])
            self.row.peak_memory = max(self.row.peak_memory, int(answer["peak"]))


def measure_memory(
    subject: Subject, system: System, clip_seconds: Sequence[float], setting: Setting, *, longest: float
) -> list[MemoryPoint]:
    """Measure increasing lengths until memory is exhausted or a pass would take over `longest` seconds."""
    points: list[MemoryPoint] = []
    with MeasuringProcess(setting.job("peak", subject, system=system.name)) as worker:
        for before, length in pairwise((0.0, *clip_seconds)):
            wall = points[-1].wall if points else None
            if wall is not None and wall * (length / before) ** 2 > longest:
                break
            point = MemoryPoint(subject.name, system.name, length, subject.config.num_layers)
            points.append(point)
            answer = worker.ask(longest + 60, do="peak", seconds=length)
            point.stopped = answer.get("stopped")
            if point.stopped:
                break
            point.memory, point.wall = max(0, int(answer["peak"] - answer["idle"])), answer["wall"]
    return points


def ask_once(job: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """Run a job with a single answer, and return that."""
    with MeasuringProcess(job) as worker:
        return worker.answer(timeout)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
