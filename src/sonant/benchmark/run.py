"""A benchmark run: steps in order, within a time limit; results are written after each."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from sonant.benchmark import plan, results
from sonant.benchmark.cases import CASES, SPECIAL
from sonant.benchmark.corpus import CorpusRow, write_corpus
from sonant.benchmark.machine import Machine, as_limits
from sonant.benchmark.measure import Contest, Setting, ask_once, measure_memory
from sonant.benchmark.plan import Step
from sonant.benchmark.profile import as_profile
from sonant.benchmark.results import CorpusResult, Profiled, Results
from sonant.benchmark.subjects import Subject, known, subject
from sonant.benchmark.systems import Circumstances, System
from sonant.data.settings import check_same_settings
from sonant.errors import MeasurementError, UnknownName
from sonant.models.devices import available_memory

MEMORY_SHARE = 0.7  # of the available memory, for one process
MEMORY_SECONDS = (1.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
MEMORY_LAYERS = 1
MEMORY_LONGEST_SECONDS = 240.0  # limit of one pass
CORPUS_FILES = 32
CORPUS_SECONDS = 60.0
LIMIT_SECONDS = 0.6
GRACE_SECONDS = 60.0  # grace period for a running pass at the end of the run


@dataclass(frozen=True)
class BenchmarkRequest:
    """The user's request for a run.

    Attributes:
        rows: models, cases and systems by name.
        systems: systems to compare, with their precisions.
        threads: number of threads of every system.
        minutes: time limit of the run; steps beyond it are left out, and listed.
        published: whether models of the catalog have published weights instead of random ones.
        unilm: folder with WavLM.py of the authors.
        memory_gib: memory limit of a process; None: most of what is available.
    """

    rows: plan.Rows
    systems: tuple[System, ...]
    threads: int
    minutes: float
    published: bool = False
    unilm: Path | None = None
    memory_gib: float | None = None


def bench(
    request: BenchmarkRequest, folder: Path, *, resume: bool = False, say: Callable[[str], None] | None = None
) -> Results:
    """Run the benchmark, and write results into the folder after every step.

    Args:
        request: models, cases, systems and settings.
        folder: for the results.
        resume: keep existing results in the folder, and measure the rest.
        say: called with progress messages, indented within a step.
    """
    say = say or _quiet
    circumstances = Circumstances(request.threads, request.unilm)
    missing = {system.name: why for system in request.systems if (why := system.missing(circumstances))}
    systems = [system for system in request.systems if system.name not in missing]
    if not systems:
        raise MeasurementError(f"No system is left to be measured: {missing}. Install one of them, or name others.")
    with tempfile.TemporaryDirectory(prefix="sonant-bench-") as scratch:
        setting = Setting(circumstances, _memory_cap(request.memory_gib), Path(scratch))
        run = _Run(request, setting, folder, say, resume=resume)
        run.results.missing = missing
        run.through(plan.steps(request.rows, systems))
        return run.results


class _Run:
    def __init__(
        self, request: BenchmarkRequest, setting: Setting, folder: Path, say: Callable[[str], None], *, resume: bool
    ) -> None:
        self.request, self.setting, self.folder, self.say = request, setting, folder, say
        self.begun = time.monotonic()
        self.end = self.begun + 60 * request.minutes
        self.results = self._open(resume=resume)
        assert self.results.limits is not None
        self.limits = self.results.limits
        self.subjects: dict[tuple[str, int | None], Subject] = {}

    def _open(self, *, resume: bool) -> Results:
        """Return empty results or, to resume, those in the folder, which must have the same machine and settings."""
        path, found = self.folder / results.FILE, None
        settings: dict[str, Any] = {
            "threads": self.request.threads,
            "weights": "published" if self.request.published else "random",
            "memory_gib": self.request.memory_gib,
            "unilm": None if self.request.unilm is None else str(self.request.unilm.resolve()),
            "checkpoints": {name: _stamp(Path(name)) for name, *_ in self.request.rows if Path(name).exists()},
        }
        if resume and path.exists():
            found = results.read(self.folder)
            there, here = found.settings.get("checkpoints", {}), settings["checkpoints"]
            settings["checkpoints"] = there | here
            check_same_settings(path, found.settings | {"checkpoints": here | there}, settings)
        self.say("measuring the machine's limits")
        answer = ask_once(self.setting.job("limits", seconds=LIMIT_SECONDS), 120)
        if "stopped" in answer:
            raise MeasurementError(f"The machine's limits could not be measured: {answer['stopped']}.")
        machine, limits = Machine(**answer["machine"]), as_limits(answer["limits"])
        if found is None:
            return Results(settings, machine, limits)
        check_same_settings(path, _identity(found.machine), _identity(machine))
        found.settings, found.left_out = settings, []
        return found

    def through(self, steps: Sequence[Step]) -> None:
        """Run all steps; consecutive steps of one model use the same processes."""
        waiting = [step for step in steps if not self._is_done(step)]
        for name in dict.fromkeys(step.model for step in waiting):
            known_to_be_there(name)
        results.write(self.results, self.folder)
        contest: Contest | None = None
        try:
            while waiting:
                step = waiting[0]
                if contest is not None and (contest.subject.name != step.model or step.case in SPECIAL):
                    contest.close()  # idle processes occupy memory
                if contest is None or contest.subject.name != step.model:
                    contest = Contest(self._subject(step.model), self.setting, self.limits)
                self._step(contest, waiting, number=len(steps) - len(waiting) + 1, of=len(steps))
                waiting.pop(0)
                results.write(self.results, self.folder)
        finally:
            if contest is not None:
                contest.close()

    def _step(self, contest: Contest, waiting: Sequence[Step], *, number: int, of: int) -> None:
        step, left = waiting[0], self.end - time.monotonic()
        followed = [contest.started, *(one.model == before.model for before, one in pairwise(waiting))]
        costs = [self._estimate(one, started=started) for one, started in zip(waiting, followed, strict=True)]
        if costs[0] > left:
            self.results.left_out.append(f"{step.title}: needs about {costs[0] / 60:.1f} min, {left / 60:.1f} are left")
            self.say(f"[{number}/{of}] {step.title}: left out for time")
            return
        share = max(costs[0], left * costs[0] / sum(costs))
        about = min(left, sum(costs))
        self.say(f"[{number}/{of}] {step.title}, {_clock(share)}; {_clock(about)} to {_clock(left)} to go")
        done = self._measured(step) if step.case in SPECIAL else set()  # ratios are valid within one turn only
        systems = [
            system for system in step.systems if system.knows(contest.subject.config) and system.name not in done
        ]
        match step.case:
            case "memory":
                self._memory(step, systems)
            case "profile":
                self._profile(contest.subject, systems)
            case "corpus":
                self._corpus(contest.subject, systems)
            case name:
                rows = contest.measure(
                    CASES[name],
                    systems,
                    seconds=share,
                    deadline=self.end + GRACE_SECONDS,
                    say=lambda text: self.say(f"    {text}"),
                )
                self.results.replace(rows)

    def _memory(self, step: Step, systems: Sequence[System]) -> None:
        subject_ = self._subject(step.model, MEMORY_LAYERS)
        for system in systems:
            self.say(f"    {system.title}")
            longest = min(MEMORY_LONGEST_SECONDS, (self.end - time.monotonic()) / 2)
            self.results.memory += measure_memory(subject_, system, MEMORY_SECONDS, self.setting, longest=longest)

    def _profile(self, subject_: Subject, systems: Sequence[System]) -> None:
        for system in systems:
            job = self.setting.job("profile", subject_, system=system.name, case="10s")
            answer = ask_once(job, self.end + GRACE_SECONDS - time.monotonic())
            if "profile" in answer:
                self.results.profiles.append(Profiled(subject_.name, system.name, as_profile(answer["profile"])))

    def _corpus(self, subject_: Subject, systems: Sequence[System]) -> None:
        folder = self.setting.folder / "corpus"
        write_corpus(folder, files=CORPUS_FILES, sampling_rate=subject_.config.sampling_rate)
        for system in systems:
            job = self.setting.job(
                "corpus", subject_, precision=system.precision, folder=str(folder), seconds=CORPUS_SECONDS
            )
            answer = ask_once(job, self.end + GRACE_SECONDS - time.monotonic())
            if "rows" in answer:
                rows = [CorpusRow(**row) for row in answer["rows"]]
                self.results.corpus.append(CorpusResult(subject_.name, system.precision, rows))

    def _is_done(self, step: Step) -> bool:
        config = known_config(step.model)
        expected = {system.name for system in step.systems if config is None or system.knows(config)}
        return expected <= self._measured(step)

    def _measured(self, step: Step) -> set[str]:
        """Return the systems that were measured in a step."""
        match step.case:
            case "memory":
                return {point.system for point in self.results.memory if point.model == step.model}
            case "profile":
                return {row.system for row in self.results.profiles if row.model == step.model}
            case "corpus":
                precisions = {row.precision for row in self.results.corpus if row.model == step.model}
                return {system.name for system in step.systems if system.precision in precisions}
        return self.results.measured(step.model, step.case)

    def _estimate(self, step: Step, *, started: bool) -> float:
        config = known_config(step.model) or self._subject(step.model).config
        return plan.estimate(step, config, self.limits, started=started)

    def _subject(self, name: str, num_layers: int | None = None) -> Subject:
        if (name, num_layers) not in self.subjects:
            self.say(f"making {plan.known_title(name)}")
            made = subject(name, self.setting.folder, published=self.request.published, num_layers=num_layers)
            self.subjects[name, num_layers] = made
        return self.subjects[name, num_layers]


def known_config(name: str) -> Any:
    """Return the configuration of a model of the catalog; None for a path."""
    try:
        return known(name)[1]
    except UnknownName:
        return None


def known_to_be_there(name: str) -> None:
    """Refuse a name that is neither in the catalog nor a path, before any measurement."""
    if not Path(name).exists():
        known(name)


def default_threads() -> int:
    """Return the number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_cap(gib: float | None) -> int | None:
    if gib is not None:
        return round(gib * 2**30)
    available = available_memory()
    return round(MEMORY_SHARE * available) if available else None


def _identity(machine: Machine | None) -> dict[str, Any]:
    """Return the facts about machine and packages that must agree for results in one table."""
    if machine is None:
        return {}
    names = ("processor", "cores", "extensions", "gpu", "python", "blas", "packages")
    return {name: getattr(machine, name) for name in names}


def _stamp(path: Path) -> str:
    """Return a fingerprint of a checkpoint: size and time of its files."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(file.name, status.st_size, status.st_mtime_ns) for file in files for status in [file.stat()]]
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _quiet(_: str) -> None:
    """Say nothing."""
