"""A run as a whole: processes, limits of memory, and going on where it was stopped."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sonant.benchmark import measure, plan, results, run
from sonant.benchmark.cases import CASES
from sonant.benchmark.corpus import measure_corpus, write_corpus
from sonant.benchmark.machine import Machine, MachineLimits
from sonant.benchmark.measure import Contest, Setting, ask_once
from sonant.benchmark.results import Results
from sonant.benchmark.run import BenchmarkRequest, bench
from sonant.benchmark.subjects import TINY, Subject, exaggerate, subject
from sonant.benchmark.systems import SYSTEMS, Circumstances, chosen
from sonant.cli import main
from sonant.errors import ConfigurationError, MeasurementError, UnknownName
from sonant.models import build
from tests.benchmark import synthetic

LIMITS = MachineLimits({"float32": 100.0, "bfloat16": 200.0, "int8": 400.0}, {}, 20.0)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(Circumstances(threads=1), None, tmp_path)


def request(cases: list[str], names: list[str], **more: object) -> BenchmarkRequest:
    rows = plan.rows(["tiny"], cases, name="quick")
    return BenchmarkRequest(
        rows, tuple(chosen(names, ["float32"])), threads=1, minutes=more.pop("minutes", 5.0), **more
    )


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Systems measured in an instant; the list holds the cases, in order."""
    seen: list[str] = []
    machine = synthetic.results().machine

    def limits(job: dict[str, object], timeout: float | None = None) -> dict[str, object]:
        return {"machine": vars(machine), "limits": vars(LIMITS)}

    def measured(self: Contest, case, systems, **_: object):
        seen.append(case.name)
        return [synthetic.speed(self.subject.name, case.name, system.name, [1.0]) for system in systems]

    monkeypatch.setattr(run, "ask_once", limits)
    monkeypatch.setattr(Contest, "measure", measured)
    monkeypatch.setattr(run, "subject", lambda name, folder, **_: Subject(name, name, TINY, folder))
    return seen


def test_a_stopped_run_goes_on(tmp_path: Path, no_processes: list[str], monkeypatch: pytest.MonkeyPatch):
    quick = Contest.measure

    def stopped(self: Contest, case, systems, **more: object):
        if case.name == "10s":
            raise KeyboardInterrupt
        return quick(self, case, systems, **more)

    monkeypatch.setattr(Contest, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        bench(request(["1s", "10s", "batch"], ["sonant", "plain"]), tmp_path)
    assert {row.case for row in results.read(tmp_path).speed} == {"1s"}
    monkeypatch.setattr(Contest, "measure", quick)
    no_processes.clear()
    found = bench(request(["1s", "10s", "batch"], ["sonant", "plain"]), tmp_path, resume=True)
    assert no_processes == ["10s", "batch"]
    assert {row.case for row in found.speed} == {"1s", "10s", "batch"}
    assert results.read(tmp_path) == found
    bench(request(["1s"], ["sonant", "plain"]), tmp_path)  # without `resume` anew
    assert {row.case for row in results.read(tmp_path).speed} == {"1s"}


def test_other_conditions_are_not_mixed(tmp_path: Path, no_processes: list[str], monkeypatch: pytest.MonkeyPatch):
    bench(request(["1s"], ["sonant"]), tmp_path)
    before = (tmp_path / results.FILE).read_bytes()
    for changes, difference in (
        ({"published": True}, "weights: there 'random', now 'published'"),
        ({"memory_gib": 2.0}, r"memory_gib: there None, now 2\.0"),
        ({"unilm": tmp_path}, "unilm: there None"),
    ):
        with pytest.raises(ConfigurationError, match=f"other settings .*{difference}"):
            bench(request(["1s"], ["sonant"], **changes), tmp_path, resume=True)
    machine = synthetic.results().machine
    assert machine is not None
    for name, value in (("processor", "Other CPU"), ("packages", {"torch": "2.14.0"})):
        other = vars(replace(machine, **{name: value}))
        monkeypatch.setattr(run, "ask_once", lambda *_, other=other: {"machine": other, "limits": vars(LIMITS)})
        with pytest.raises(ConfigurationError, match=f"other settings .*{name}.*there"):
            bench(request(["1s"], ["sonant"]), tmp_path, resume=True)
    assert (tmp_path / results.FILE).read_bytes() == before


def test_a_checkpoint_that_changed_is_not_mixed(tmp_path: Path, no_processes: list[str]):
    model = tmp_path / "model.pt"
    model.write_bytes(b"one")
    rows = plan.rows(["tiny", str(model)], ["1s"], name="quick")
    systems = tuple(chosen(["sonant"], ["float32"]))
    bench(request(["1s"], ["sonant"]), tmp_path)
    bench(
        BenchmarkRequest(rows, systems, threads=1, minutes=5.0), tmp_path, resume=True
    )  # one more is none that changed
    bench(request(["1s"], ["sonant"]), tmp_path, resume=True)
    model.write_bytes(b"another")
    with pytest.raises(ConfigurationError, match=r"other settings \(checkpoints\..*model\.pt: there"):
        bench(BenchmarkRequest(rows, systems, threads=1, minutes=5.0), tmp_path, resume=True)


def test_a_resumed_profile_has_the_systems_that_it_lacked(
    tmp_path: Path, no_processes: list[str], monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []

    def answer(job: dict[str, object], timeout: float | None = None) -> dict[str, object]:
        if "system" not in job:
            return {"machine": vars(synthetic.results().machine), "limits": vars(LIMITS)}
        seen.append(str(job["system"]))
        return {"profile": asdict(synthetic.results().profiles[0].profile)}

    monkeypatch.setattr(run, "ask_once", answer)
    bench(request(["profile"], ["sonant"]), tmp_path)
    found = bench(request(["profile"], ["sonant", "transformers"]), tmp_path, resume=True)
    assert seen == [row.system for row in found.profiles] == ["sonant", "transformers"]


def test_what_does_not_fit_into_the_time_is_named(tmp_path: Path, no_processes: list[str]):
    found = bench(request(["1s", "120s"], ["sonant", "plain"], minutes=0.01), tmp_path)
    assert no_processes == found.speed == []
    assert [line.partition(":")[0] for line in found.left_out] == ["tiny, one clip of 1 s", "tiny, one clip of 120 s"]


def test_a_run_without_systems_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(MeasurementError, match="No system is left"):
        bench(request(["1s"], ["unilm"]), tmp_path)


def test_an_unknown_model_is_refused_before_anything_is_measured(tmp_path: Path, no_processes: list[str]):
    rows = plan.rows(["tiny", "wavlm-bass"], ["1s"], name="quick")
    with pytest.raises(UnknownName, match="wavlm-base"):
        bench(BenchmarkRequest(rows, tuple(chosen(["sonant"], ["float32"])), threads=1, minutes=1), tmp_path)
    assert no_processes == []


@pytest.mark.slow
def test_the_corpus_goes_through_every_way(tmp_path: Path):
    assert len(write_corpus(tmp_path, files=3, sampling_rate=16_000)) == 3
    rows = measure_corpus(exaggerate(build(TINY)), "float32", tmp_path, seconds=0.0)
    assert [(row.way, row.clips) for row in rows] == [("engine", 0), ("by hand", 1), ("by hand", 2)]
    for row in rows:
        assert row.audio_seconds == pytest.approx(15.0 + 2.0 + 8.5)
        assert len(row.seconds) == 1
        assert row.speed > 0


@pytest.mark.slow
def test_systems_in_turn(setting: Setting):
    tiny = subject("tiny", setting.folder)
    contest = Contest(tiny, setting, LIMITS)
    try:
        rows = contest.measure(
            CASES["1s"], chosen(["sonant", "plain"], ["float32"]), seconds=1, deadline=time.monotonic() + 120
        )
    finally:
        contest.close()
    assert [row.system for row in rows] == ["sonant", "plain"]
    for row in rows:
        assert row.stopped is None
        assert len(row.wall) == len(row.cpu) == measure.PASSES
        assert row.peak_memory >= row.idle_memory > 50 * synthetic.MEBI
        assert row.fraction_of_limit is not None
    assert rows[0].deviation is not None
    assert rows[0].deviation.error < 1e-5
    assert rows[0].deviation.states == 4
    assert rows[1].deviation is None


@pytest.mark.slow
def test_a_system_that_wants_too_much_memory_is_stopped_and_the_others_go_on(setting: Setting):
    tiny = subject("tiny", setting.folder)
    capped = Setting(setting.circumstances, 1_200 * synthetic.MEBI, setting.folder)
    systems = [SYSTEMS["sonant"], SYSTEMS["transformers"]]
    contest = Contest(tiny, capped, LIMITS)
    try:
        rows = contest.measure(CASES["120s"], systems, seconds=1, deadline=time.monotonic() + 120)
    finally:
        contest.close()
    assert rows[0].wall
    assert rows[1].stopped == "out of memory"


@pytest.mark.slow
def test_a_system_that_takes_too_long_is_stopped(setting: Setting):
    answer = ask_once(setting.job("limits", seconds=60), 1.0)
    assert answer == {"stopped": "took more than 1 s"}


@pytest.mark.slow
def test_the_command_writes_its_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    out = tmp_path / "bench"
    command = "bench --models tiny --cases 1s,profile --systems sonant,plain,unilm --precision float32 --threads 1"
    assert main([*command.split(), "--minutes", "3", "-o", str(out)]) == 0
    printed = capfd.readouterr()
    assert printed.out in (out / "bench.md").read_text(encoding="utf-8")
    assert "| tiny | sonant |" in printed.out
    assert "unilm's WavLM: no folder" in printed.out
    assert "[2/2] tiny, profile" in printed.err
    found = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    assert [row["system"] for row in found["speed"]] == ["sonant", "plain"]
    assert Results(found["settings"]).settings.items() >= {"threads": 1, "weights": "random"}.items()
    assert Machine(**found["machine"]).threads == 1
    assert {path.name for path in out.glob("*.png")} == {"ratios.png"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--minutes 0", "it must be more than 0"),
        ("--models wavlm-bass", "wavlm-base"),
        ("--cases 10", "10s"),
        ("--systems openvin", "openvino"),
        ("--precision bf16", "bfloat16"),
    ],
)
def test_wrong_use(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_processes: list[str]
):
    assert main(["bench", *options.split(), "-o", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
