"""Results of a run as JSON, written after every case, so that a run can be resumed."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sonant.benchmark.corpus import CorpusRow
from sonant.benchmark.deviation import Deviation
from sonant.benchmark.machine import Machine, MachineLimits
from sonant.benchmark.profile import Profile, as_profile
from sonant.data.files import atomic
from sonant.errors import ConfigurationError

VERSION = 1
FILE = "bench.json"


@dataclass
class Speed:
    """The measurements of one system in one case.

    Attributes:
        model, case, system: names.
        audio_seconds: total length of the clips.
        gflop: operations for the clips in billions, counted from the architecture.
        floor_seconds: least time for them on this machine in the precision of the system.
        wall, cpu: seconds of each pass: elapsed, and CPU time of all cores.
        idle_memory, peak_memory: bytes, before the first pass and at the peak.
        deviation: from the reference; None for the reference.
        note: warnings of set-up, such as a change of precision.
        stopped: why measurements are missing or incomplete; None if complete.
    """

    model: str
    case: str
    system: str
    audio_seconds: float
    gflop: float
    floor_seconds: float | None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    idle_memory: int = 0
    peak_memory: int = 0
    deviation: Deviation | None = None
    note: str = ""
    stopped: str | None = None

    @property
    def seconds(self) -> float | None:
        """Median duration of the passes; None without passes."""
        return statistics.median(self.wall) if self.wall else None

    @property
    def cpu_seconds(self) -> float | None:
        return statistics.median(self.cpu) if self.cpu else None

    @property
    def fraction_of_limit(self) -> float | None:
        return self.floor_seconds / self.seconds if self.floor_seconds and self.seconds else None

    @property
    def memory(self) -> int:
        """Peak memory of the passes in bytes, minus the memory before them."""
        return max(0, self.peak_memory - self.idle_memory)


@dataclass
class MemoryPoint:
    """The peak memory of one pass over one clip.

    Attributes:
        layers: number of layers of the model; few suffice, as memory hardly depends on them.
        memory: peak memory in bytes, minus the memory before the first pass.
    """

    model: str
    system: str
    clip_seconds: float
    layers: int
    memory: int | None = None
    wall: float | None = None
    stopped: str | None = None


@dataclass
class CorpusResult:
    """The results of a corpus for one model and precision."""

    model: str
    precision: str
    rows: list[CorpusRow]


@dataclass
class Profiled:
    """The profile of one model and system."""

    model: str
    system: str
    profile: Profile


@dataclass
class Results:
    """The results of a run.

    Attributes:
        settings: of all measurements.
        missing: unavailable systems, with reasons.
        left_out: planned steps left out for lack of time.
    """

    settings: dict[str, Any]
    machine: Machine | None = None
    limits: MachineLimits | None = None
    speed: list[Speed] = field(default_factory=list)
    memory: list[MemoryPoint] = field(default_factory=list)
    corpus: list[CorpusResult] = field(default_factory=list)
    profiles: list[Profiled] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def find(self, model: str, case: str, system: str) -> Speed | None:
        return next((row for row in self.speed if (row.model, row.case, row.system) == (model, case, system)), None)

    def measured(self, model: str, case: str) -> set[str]:
        """Return the systems that were measured in a case."""
        return {row.system for row in self.speed if (row.model, row.case) == (model, case)}

    def replace(self, rows: Iterable[Speed]) -> None:
        """Replace the rows of a model and case, since ratios are valid only among rows measured in turn."""
        rows = list(rows)
        cases = {(row.model, row.case) for row in rows}
        self.speed = [row for row in self.speed if (row.model, row.case) not in cases] + rows


def write(results: Results, folder: Path) -> Path:
    """Write the results atomically: a reader never sees half of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / FILE) as draft:
        draft.write_text(json.dumps({"version": VERSION, **asdict(results)}, indent=1) + "\n", encoding="utf-8")
    return folder / FILE


def read(path: Path) -> Results:
    """Read results from a file, or from the file in a folder."""
    path = path / FILE if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version") != VERSION:
            raise KeyError("version")
        return Results(
            settings=values["settings"],
            machine=Machine(**values["machine"]) if values["machine"] else None,
            limits=MachineLimits(**values["limits"]) if values["limits"] else None,
            speed=[_speed(row) for row in values["speed"]],
            memory=[MemoryPoint(**row) for row in values["memory"]],
            corpus=[
                CorpusResult(row["model"], row["precision"], [CorpusRow(**way) for way in row["rows"]])
                for row in values["corpus"]
            ],
            profiles=[Profiled(row["model"], row["system"], as_profile(row["profile"])) for row in values["profiles"]],
            missing=values["missing"],
            left_out=values["left_out"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is not a file that this version of sonant bench has written ({error}). Name another folder, or "
            "remove the file."
        ) from None


def _speed(row: dict[str, Any]) -> Speed:
    found = row.pop("deviation")
    return Speed(**row, deviation=Deviation(**found) if found else None)
