"""MAEB's protocols on manifests: what is chosen, what is kept, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import sonant
from sonant.cli import main
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from sonant.integrations import MaebEvaluation, evaluate_maeb, local_maeb
from sonant.integrations.maeb_data import groups_of, maeb_data
from tests.superb.miniature import write_task, write_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_tiny(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_task(tmp_path_factory.mktemp("data"))


def values(done: MaebEvaluation) -> dict[tuple[str, str, str, str, bool], float]:
    return {(row.data, row.kind, row.layer, row.pool, row.standardized): row.scores.value for row in done.rows}


@pytest.mark.slow
def test_every_layer_pooling_and_kind_on_the_same_states(
    model: str, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    how: dict[str, Any] = {"layer": ["each", "0+2"], "pool": ["mean", "mean+std"], "output": tmp_path / "out"}
    data = {"tones": tones, "speakers": f"{tones}/train:speaker"}
    with pytest.raises(ConfigurationError, match="speakers has no part dev"):
        evaluate_maeb(model, data, layer=["best"])
    done = evaluate_maeb(model, data, **how)
    assert len(done.rows) == 2 * 5 * 2
    assert {row.layer for row in done.rows} == {"0", "1", "2", "last", "0+2"}
    assert all(0 <= row.scores.value <= 1 for row in done.rows)
    assert json.loads((tmp_path / "out/results.json").read_text())["rows"][0]["data"] == "tones"
    assert "| tones, accuracy |" in (tmp_path / "out/results.md").read_text()
    monkeypatch.setattr(local_maeb, "_scores", lambda *args, **_: calls.append(args))
    embed, jobs = sonant.SpeechEncoder.embed, list[Any]()
    monkeypatch.setattr(sonant.SpeechEncoder, "embed", lambda *args, **how: jobs.append(embed(*args, **how)))
    again = evaluate_maeb(model, data, **{**how, "layer": ["1"]})
    assert values(again).items() <= values(done).items()
    assert not calls
    assert [job.computed for job in jobs] == [0] * 4


@pytest.mark.slow
def test_best_is_the_best_on_dev(model: str, tones: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"kinds": ["classification", "clustering", "pairs"], "output": tmp_path / "out"}
    best = evaluate_maeb(model, {"tones": tones}, layer=["best"], **how)
    (tmp_path / "flat").mkdir()
    for part, other in (("train", "train"), ("dev", "test")):  # dev is measured as test would be
        (tmp_path / "flat" / f"tones_{other}").symlink_to(tones / part)
    on_dev = evaluate_maeb(model, {"tones": tmp_path / "flat/tones"}, layer=["each"], **how)
    for row in best.rows:
        of_kind = {each.layer: each.scores.value for each in on_dev.rows if each.kind == row.kind}
        assert row.state == max(of_kind, key=of_kind.__getitem__)
        on_test = evaluate_maeb(model, {"tones": tones}, layer=[row.state], **{**how, "kinds": [row.kind]})
        assert on_test.rows[0].scores.value == row.scores.value


def test_data_are_found_by_folder_by_name_and_alone(tones: Path) -> None:
    assert set(maeb_data("a", tones, "label").manifests) == {"train", "dev", "test"}
    alone = maeb_data("a", f"{tones}/train/manifest.jsonl:slots.drink", "label")
    assert (list(alone.manifests), alone.field) == (["all"], "slots.drink")
    with pytest.raises(ManifestError, match="begins the name of none"):
        maeb_data("a", tones / "nothing", "label")


def test_one_speaker_is_not_drawn_again_and_again(tones: Path) -> None:
    entries = sonant.data.read_manifest(tones / "train/manifest.jsonl")
    assert len(set(groups_of(entries, "speaker") or ())) == 3
    assert groups_of([each for each in entries if each.fields["speaker"] == "0-0"], "speaker") is None
    assert groups_of(entries, "nobody") is None


def test_fields_of_objects_and_rows_without_a_label(model: str, tones: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (tones / "train/manifest.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["path"] = str(tones / "train" / line["path"])
        line["slots"] = {"pitch": line.pop("label")} if number else {}
    lines.append({"path": "missing.wav", "slots": {"pitch": "low"}})
    manifest = tmp_path / "drinks.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = evaluate_maeb(model, {"drinks": f"{manifest}:slots.pitch"}, output=tmp_path / "out")
    assert done.rows[0].recordings == len(lines) - 2
    assert len(done.failures) == 1
    with pytest.raises(UnknownName, match="slots"):
        evaluate_maeb(model, {"drinks": f"{manifest}:slot.pitch"}, output=tmp_path / "out")


def test_the_command(model: str, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["evaluate", "maeb", "-m", model, "--data", f"tones={tones}", "-o", str(tmp_path / "out")]
    assert main([*given, "--layer", "last,best", "--standardize", "no,yes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["layer"], row["standardized"]) for row in rows] == [
        *(("last", False), ("last", True)),
        *(("best", False), ("best", True)),
    ]
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert "tones, accuracy" in shown
    assert "10 draws of 8 clips" in shown
    for wrong in (["--published"], ["--tasks", "CREMA_D"], ["--layer", "11"], ["--pool", "max"]):
        assert main([*given, *wrong]) == 2
    assert main(["evaluate", "maeb", "-m", model]) == 2
