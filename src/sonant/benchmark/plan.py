"""Plans of a run, most informative steps first, and estimates of the duration of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sonant.benchmark.cases import CASES, SPECIAL, Case
from sonant.benchmark.machine import MachineLimits
from sonant.benchmark.subjects import OUTLIERS, known
from sonant.benchmark.systems import SYSTEMS, System
from sonant.errors import UnknownName
from sonant.inference import PRECISIONS, Precision
from sonant.models import BackboneConfig
from sonant.models.families import family_of

ON_CPU: tuple[Precision, ...] = ("float32", "bfloat16", "int8")

PlanName = Literal["quick", "full", "precision"]

# Systems by name.
ALL = tuple(name for name, system in SYSTEMS.items() if system.code != "onnxruntime")  # its export takes a minute
OURS = ("sonant", "sonant-bfloat16", "sonant-int8")
WITH_REFERENCE = (*OURS, "transformers")
BATCHES = (*WITH_REFERENCE, "padded")
LONG = (*WITH_REFERENCE, "transformers-bfloat16", "openvino", "openvino-bfloat16", "unilm")
CTRANSLATE2 = ("ctranslate2", "ctranslate2-int8")
IN_FLOAT32 = ("sonant", "transformers", "padded")

# Model, cases and systems, most informative first; the cases of a model in order of size.
Rows = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
QUICK: Rows = (
    ("wavlm-base", ("10s",), ALL),
    ("wavlm-base", ("60s", "batch"), BATCHES),
    ("wavlm-large", ("10s",), ALL),
    ("wavlm-base", ("profile",), ("sonant",)),
    ("wavlm-base", ("corpus",), ("sonant-bfloat16",)),
    ("wavlm-large", ("60s",), ("sonant", "sonant-bfloat16", "transformers")),
)
FULL: Rows = (
    ("wavlm-base", ("1s", "10s"), tuple(SYSTEMS)),
    ("wavlm-base", ("60s",), LONG),
    ("wavlm-base", ("batch",), (*BATCHES, "openvino", "openvino-bfloat16")),
    ("wavlm-large", ("1s", "10s"), ALL),
    ("wavlm-large", ("60s",), LONG),
    ("wavlm-large", ("batch",), (*BATCHES, "openvino-bfloat16")),
    ("hubert-base-ls960", ("10s",), BATCHES),
    ("hubert-base-ls960", ("60s", "batch"), IN_FLOAT32),
    ("w2v-bert-2.0", ("10s",), BATCHES),
    ("hubert-large-ll60k", ("10s",), BATCHES),
    ("hubert-large-ll60k", ("60s",), IN_FLOAT32),
    ("wav2vec2-base", ("10s",), BATCHES),
    ("wav2vec2-large-lv60", ("10s",), BATCHES),
    ("wavlm-base", ("profile",), (*OURS, "transformers")),
    ("wavlm-large", ("profile",), (*OURS, "transformers")),
    ("wavlm-base", ("corpus",), ("sonant-bfloat16",)),
    ("wavlm-base", ("memory",), ("sonant", "sonant-bfloat16", "transformers", "openvino", "unilm")),
    ("wavlm-base", ("120s",), (*WITH_REFERENCE, "openvino", "unilm")),
    ("hubert-large-ll60k", ("batch",), IN_FLOAT32),
    ("wav2vec2-base", ("60s", "batch"), IN_FLOAT32),
    ("w2v-bert-2.0", ("60s", "batch"), IN_FLOAT32),
    ("wav2vec2-large-lv60", ("60s", "batch"), IN_FLOAT32),
    ("wavlm-large", ("120s",), ("sonant", "sonant-bfloat16", "transformers")),
)
PRECISIONS_AND_PEERS = (*WITH_REFERENCE, "transformers-bfloat16", "openvino", "openvino-bfloat16", *CTRANSLATE2)
PRECISION: Rows = tuple(
    (f"{model}{kind}", cases, PRECISIONS_AND_PEERS)
    for model, cases in (
        ("wavlm-base", ("1s", "10s")),
        ("wavlm-large", ("1s", "10s")),
        ("wav2vec2-large-lv60", ("10s",)),
    )
    for kind in ("", OUTLIERS)
)
PLANS: dict[PlanName, Rows] = {"quick": QUICK, "full": FULL, "precision": PRECISION}
DEFAULT_CASES = ("10s", "60s", "batch")  # for models named without cases
MINUTES: dict[PlanName, float] = {"quick": 10.0, "full": 40.0, "precision": 25.0}

MEMORY_STEP_SECONDS = 60.0  # of a curve up to 20 minutes
START_SECONDS = {"openvino": 25.0, "onnxruntime": 60.0}  # set-up of a process, once for each model: tracing, export
START_SECONDS_OF_OTHERS = 8.0
# Rough share of the machine limit that a system reaches at 10 s, for estimates of time only.
REACHED = {"sonant": 0.7, "openvino": 0.6, "plain": 0.45}
REACHED_BY_OTHERS = 0.35
FALLING = ("wavlm", "w2v_bert2")  # families in which attention of other systems stores a bias (frames, frames)
FALLING_SECONDS = 50.0  # length at which these reach half of that share


@dataclass(frozen=True)
class Step:
    """A step of a run: one model in one case, which may be one of `SPECIAL`."""

    model: str
    case: str
    systems: tuple[System, ...]

    @property
    def title(self) -> str:
        return f"{known_title(self.model)}, {CASES[self.case].title if self.case in CASES else self.case}"


def known_title(model: str) -> str:
    """Return the title of a model in tables; a path is its own title."""
    try:
        return known(model)[0]
    except UnknownName:
        return model


def steps(rows: Rows, systems: Sequence[System]) -> list[Step]:
    """Return the steps of rows, each with those of `systems` that its row names."""
    found = []
    for model, cases, names in rows:
        for case in cases:
            taking = tuple(system for system in systems if system.name in names and _fits(system, case))
            if taking:
                found.append(Step(model, case, taking))
    return found


def rows(models: Sequence[str] | None, cases: Sequence[str] | None, *, name: PlanName) -> Rows:
    """Return the rows of a plan or, if models or cases are named, every combination of these."""
    plan = PLANS[name]
    if models is None and cases is None:
        return plan
    models = models or list(dict.fromkeys(model for model, *_ in plan))
    cases = case_names(cases or DEFAULT_CASES)
    return tuple((model, tuple(cases), tuple(SYSTEMS)) for model in models)


def case_names(names: Sequence[str]) -> list[str]:
    """Return the case names. Raises UnknownName."""
    for name in names:
        if name not in CASES and name not in SPECIAL:
            raise UnknownName("case", name, [*CASES, *SPECIAL])
    return list(names)


def precisions(names: Sequence[str]) -> list[Precision]:
    """Return the precisions. Raises UnknownName."""
    for name in names:
        if name not in PRECISIONS:
            raise UnknownName("precision", name, PRECISIONS)
    return [precision for precision in PRECISIONS if precision in names]


def _fits(system: System, case: str) -> bool:
    """Return whether the case makes sense for the system: a padded batch of one clip has no padding."""
    match case:
        case "corpus":
            return system.code == "sonant"
        case "memory":
            return system.code in ("sonant", "transformers", "openvino", "unilm") and system.precision != "int8"
        case "profile":
            return system.code == "sonant" or system.name == "transformers"
    return system.code != "padded" or len(CASES[case].seconds) > 1


def estimate(step: Step, config: BackboneConfig, limits: MachineLimits, *, started: bool) -> float:
    """Estimate the least duration of a step: one pass of each system, and the comparison of states."""
    starts = [START_SECONDS.get(system.code, START_SECONDS_OF_OTHERS) for system in step.systems]
    start = 0.0 if started else sum(starts)
    match step.case:
        case "memory":
            return MEMORY_STEP_SECONDS * len(step.systems)
        case "profile":
            return 3 * sum(_pass_seconds(system, CASES["10s"], config, limits) for system in step.systems) + start
        case "corpus":
            return 14 * sum(_pass_seconds(system, CASES["batch"], config, limits) for system in step.systems) + start
    case_ = CASES[step.case]
    passes = 1 + sum(case_.seconds[: case_.checked]) / case_.total_seconds
    return passes * sum(_pass_seconds(system, case_, config, limits) for system in step.systems) + start


def _pass_seconds(system: System, case: Case, config: BackboneConfig, limits: MachineLimits) -> float:
    samples = [round(length * config.sampling_rate) for length in case.seconds]
    if system.code == "padded":
        samples = [max(samples)] * len(samples)
    floor = limits.seconds(config, samples, system.precision) or limits.seconds(config, samples, "float32") or 0.0
    if system.code in REACHED:
        return floor / REACHED[system.code]
    falling = family_of(config).key in FALLING
    return floor / REACHED_BY_OTHERS * (1 + falling * max(case.seconds) / FALLING_SECONDS)
