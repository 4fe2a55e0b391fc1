"""What a run measures, most telling first, and how long it will take."""

from collections.abc import Sequence
from dataclasses import dataclass

from sonant.benchmark.cases import CASES, SPECIAL, Case
from sonant.benchmark.machine import Limits
from sonant.benchmark.subjects import known
from sonant.benchmark.systems import System
from sonant.errors import UnknownName
from sonant.inference import PRECISIONS, Precision
from sonant.models import BackboneConfig

EVERYONE = ("sonant", "plain", "transformers", "padded", "openvino", "unilm", "torchaudio")
RIVALS = ("sonant", "transformers", "padded", "openvino")
REFERENCED = ("sonant", "transformers", "padded")
ON_CPU: tuple[Precision, ...] = ("float32", "bfloat16", "int8")

# Model, cases, systems.
Rows = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
QUICK: Rows = (
    ("wavlm-base", ("10s",), EVERYONE),
    ("wavlm-base", ("60s", "batch"), RIVALS),
    ("wavlm-large", ("10s",), EVERYONE),
    ("wavlm-base", ("profile", "corpus"), ("sonant",)),
    ("wavlm-large", ("60s",), REFERENCED),
)
FULL: Rows = (
    ("wavlm-base", ("1s", "10s", "30s", "60s", "batch", "120s"), EVERYONE),
    ("wavlm-large", ("1s", "10s", "30s", "60s", "batch"), EVERYONE),
    ("wavlm-base", ("memory", "profile", "corpus"), EVERYONE),
    ("wavlm-large", ("profile",), EVERYONE),
    ("hubert-base-ls960", ("10s", "60s", "batch"), REFERENCED),
    ("wav2vec2-base", ("10s", "60s", "batch"), REFERENCED),
    ("w2v-bert-2.0", ("10s", "60s", "batch"), REFERENCED),
    ("hubert-large-ll60k", ("10s", "60s", "batch"), REFERENCED),
    ("wav2vec2-large-lv60", ("10s", "60s", "batch"), REFERENCED),
    ("wavlm-large", ("120s",), REFERENCED),
)
DEFAULT_CASES = ("10s", "60s", "batch")  # of models that are named without cases
MINUTES = {"quick": 10.0, "full": 40.0}

MEMORY_STEP_SECONDS = 60.0  # of a curve up to 20 minutes
START_SECONDS = 8.0  # of a process and its packages, once a model
# The share of the machine's limit that a system reaches at 10 s, roughly: for the estimate of time alone.
REACHED = {"sonant": 0.7, "openvino": 0.6, "plain": 0.45}
REACHED_BY_OTHERS = 0.35
FALLING_SECONDS = 50.0  # at this length others reach half of that, as their attention keeps (frames, frames)


@dataclass(frozen=True)
class Step:
    """One model in one case; `case` may be one of `SPECIAL`."""

    model: str
    case: str
    systems: tuple[System, ...]

    @property
    def title(self) -> str:
        return f"{known_title(self.model)}, {CASES[self.case].title if self.case in CASES else self.case}"


def known_title(model: str) -> str:
    """As tables call it; a path is its own title."""
    try:
        return known(model)[0]
    except UnknownName:
        return model


def steps(rows: Rows, systems: Sequence[System]) -> list[Step]:
    """The steps of rows, each with those of the systems that it names."""
    found = []
    for model, cases, codes in rows:
        for case in cases:
            taking = tuple(system for system in systems if system.code in codes and _fits(system, case))
            if taking:
                found.append(Step(model, case, taking))
    return found


def rows(models: Sequence[str] | None, cases: Sequence[str] | None, codes: Sequence[str] | None, *, full: bool) -> Rows:
    """The rows of a plan; of the models and cases that are named, if any are, in every combination."""
    plan = FULL if full else QUICK
    if models is None and cases is None:
        return plan if codes is None else tuple((model, of, tuple(codes)) for model, of, _ in plan)
    models = models or list(dict.fromkeys(model for model, *_ in plan))
    cases = case_names(cases or DEFAULT_CASES)
    return tuple((model, tuple(cases), tuple(codes or EVERYONE)) for model in models)


def case_names(names: Sequence[str]) -> list[str]:
    """The given names, each checked."""
    for name in names:
        if name not in CASES and name not in SPECIAL:
            raise UnknownName("case", name, [*CASES, *SPECIAL])
    return list(names)


def precisions(names: Sequence[str]) -> list[Precision]:
    """The given precisions, each checked."""
    for name in names:
        if name not in PRECISIONS:
            raise UnknownName("precision", name, PRECISIONS)
    return [precision for precision in PRECISIONS if precision in names]


def _fits(system: System, case: str) -> bool:
    """Whether the case tells anything of the system; a padded batch of one clip has no padding."""
    match case:
        case "corpus":
            return system.code == "sonant"
        case "memory":
            return system.code in ("sonant", "transformers", "openvino", "unilm") and system.precision != "int8"
        case "profile":
            return system.code == "sonant" or system.name == "transformers"
    return system.code != "padded" or len(CASES[case].seconds) > 1


def estimate(step: Step, config: BackboneConfig, limits: Limits, *, started: bool) -> float:
    """The least seconds that a step will take, roughly: one pass of each system, and the comparison of states."""
    start = 0.0 if started else START_SECONDS * len(step.systems)
    match step.case:
        case "memory":
            return MEMORY_STEP_SECONDS * len(step.systems)
        case "profile":
            return 3 * sum(_pass_seconds(system, CASES["10s"], config, limits) for system in step.systems) + start
        case "corpus":
            return 20 * _pass_seconds(step.systems[0], CASES["batch"], config, limits) + start
    case_ = CASES[step.case]
    passes = 1 + sum(case_.seconds[: case_.checked]) / case_.total_seconds
    return passes * sum(_pass_seconds(system, case_, config, limits) for system in step.systems) + start


def _pass_seconds(system: System, case: Case, config: BackboneConfig, limits: Limits) -> float:
    samples = [round(length * config.sampling_rate) for length in case.seconds]
    if system.code == "padded":
        samples = [max(samples)] * len(samples)
    floor = limits.seconds(config, samples, system.precision) or limits.seconds(config, samples, "float32") or 0.0
    if system.code in REACHED:
        return floor / REACHED[system.code]
    return floor / REACHED_BY_OTHERS * (1 + max(case.seconds) / FALLING_SECONDS)
