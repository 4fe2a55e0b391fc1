"""The benchmarks run, at a tiny size, and what they print is what they measured."""

import json
from pathlib import Path

import pytest

from benchmarks import batch_shapes, fill_curves, int8_values, packed_law, targets_memory
from benchmarks.page_blocks import write_block


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # transformers' own call
def test_packed_law(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "law.json"
    packed_law.main(["--layers", "1", "--width", "16", "--seconds", "0.3", "0.6", "--out", str(out)])
    rows = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert [row["model"] for row in rows] == list(packed_law.CONFIGS)
    for row in rows:
        assert f"| {row['model']} |" in printed
        assert row["sonant"] < 1e-5
        assert row["padded"] > 1e-3
        assert (row["masked"] > 1e-3) == (row["norm"] == "group")


def test_int8_values(capsys: pytest.CaptureFixture[str]) -> None:
    speech = Path(__file__).parents[2] / "examples" / "speech"
    int8_values.main(["--model", "tiny:outliers", "--audio", str(speech), "--seconds", "1"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    equalized = {row[1].split(",")[0]: float(row[3]) for row in rows}
    assert equalized["beside integers"] >= equalized["int8"] > equalized["int8 without smoothing"]
    assert equalized["as optimized"] >= 0.995


def test_batch_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (json.dumps({"path": f"{i}.wav", "duration": 2 + i % 17}) for i in range(300))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    batch_shapes.main([str(tmp_path / "manifest.jsonl")])
    rows = capsys.readouterr().out.splitlines()[-2:]
    exact, shortest = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows)
    assert exact[0] == "exact"
    assert exact[2:5] == ["4375", "1", "1.00 to 1.00"]
    assert shortest[0] == "shortest"
    assert int(shortest[3]) > 1


@pytest.mark.slow
def test_targets_memory(capsys: pytest.CaptureFixture[str]) -> None:
    targets_memory.main(["--hours", "0.05", "--dim", "16", "--clusters", "3"])
    assert "features of 1 MiB" in capsys.readouterr().out


@pytest.mark.slow
def test_fill_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = Path(__file__).parents[2] / "examples" / "speech" / "manifest.jsonl"
    fill_curves.main([str(speech), "--out", str(tmp_path), "--steps", "2"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["exact", "1"], ["exact", "2"], ["shortest", "1"], ["shortest", "2"]]
    assert all(float(row[3]) > 0 for row in rows)


def test_blocks_of_pages(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- probes -->\nold\n<!-- end of probes -->\nafter\n")
    write_block(page, "probes", ["| 1 |", "| \\2 |"])
    assert page.read_text() == "before\n<!-- probes -->\n| 1 |\n| \\2 |\n<!-- end of probes -->\nafter\n"
    with pytest.raises(ValueError, match="no block"):
        write_block(page, "voices", [])
