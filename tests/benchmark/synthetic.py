"""Results as a run leaves them, with round numbers."""

from sonant.benchmark.corpus import CorpusRow
from sonant.benchmark.deviation import Deviation
from sonant.benchmark.machine import Machine, MachineLimits
from sonant.benchmark.profile import Profile
from sonant.benchmark.results import CorpusResult, MemoryPoint, Profiled, Results, Speed

MEBI = 2**20
CLOSE = Deviation(error=2e-6, error_at="3", cosine=0.99999999, cosine_at="3", pooled=1.0, states=14)
ROUGH = Deviation(error=0.02, error_at="last", cosine=0.99912, cosine_at="11", pooled=0.9998, states=14)


def speed(model: str, case: str, system: str, wall: list[float], **more: object) -> Speed:
    row = Speed(model, case, system, audio_seconds=10.0, gflop=150.0, floor_seconds=1.0)
    row.wall, row.cpu = wall, [2 * seconds for seconds in wall]
    row.idle_memory, row.peak_memory = 500 * MEBI, 600 * MEBI
    for name, value in more.items():
        setattr(row, name, value)
    return row


def results() -> Results:
    machine = Machine(
        processor="Test CPU",
        cores=2,
        threads=2,
        memory_gib=16.0,
        caches="L1d 32K",
        extensions="AVX2",
        system="Linux",
        python="3.11.0",
        gpu="none",
        blas="mkl",
        load=0.1,
        packages={"torch": "2.13.0"},
    )
    limits = MachineLimits(
        {"float32": 150.0, "bfloat16": 400.0, "int8": 800.0},
        dict.fromkeys(("float32", "bfloat16", "int8"), "linear"),
        20.0,
    )
    return Results(
        settings={"threads": 2, "weights": "random"},
        machine=machine,
        limits=limits,
        speed=[
            speed("wavlm-base", "10s", "sonant", [2.0, 1.5, 9.0], deviation=CLOSE),
            speed("wavlm-base", "10s", "sonant-bfloat16", [1.0], deviation=ROUGH, note="taken for float32"),
            speed("wavlm-base", "10s", "transformers", [4.0, 6.0]),
            speed("wavlm-base", "60s", "sonant", [12.0], deviation=CLOSE),
            speed("wavlm-base", "60s", "transformers", [], stopped="out of memory"),
            speed("wavlm-base", "1s", "sonant", [0.5]),
            speed("hubert-large-ll60k", "10s", "sonant", [3.0], deviation=CLOSE),
            speed("hubert-large-ll60k", "10s", "transformers", [3.0]),
            speed("wavlm-base", "batch", "sonant", [10.0], deviation=CLOSE),
            speed("wavlm-base", "batch", "padded", [50.0], deviation=ROUGH),
        ],
        memory=[
            MemoryPoint("wavlm-base", "sonant", 1.0, 1, 5 * MEBI, 0.1),
            MemoryPoint("wavlm-base", "sonant", 120.0, 1, 50 * MEBI, 3.0),
            MemoryPoint("wavlm-base", "transformers", 1.0, 1, 5 * MEBI, 0.1),
            MemoryPoint("wavlm-base", "transformers", 120.0, 1, stopped="out of memory"),
        ],
        corpus=[
            CorpusResult(
                "wavlm-base",
                "float32",
                [
                    CorpusRow("engine", 0, [10.0], 100.0, 12),
                    CorpusRow("by hand", 1, [12.5], 100.0, 12),
                    CorpusRow("by hand", 4, [8.0], 100.0, 12),
                ],
            )
        ],
        profiles=[Profiled("wavlm-base", "sonant", Profile(1.5, [("aten::addmm", 48, 0.6)], 0.3))],
        missing={"openvino": "the package openvino is not installed"},
        left_out=["WavLM Large, one clip of 60 s: needs about 5.0 min, 1.0 are left"],
    )
