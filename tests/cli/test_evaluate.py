"""`sonant evaluate asr` as it is typed."""

import json
from pathlib import Path

import pytest

from sonant.cli import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "test.csv").write_text("path,text,speaker\n" + "".join(f"{i}.wav,one two,s{i}\n" for i in range(8)))
    (tmp_path / "a.txt").write_text("".join(f"{i} one\n" for i in range(8)))
    (tmp_path / "b.txt").write_text("".join(f"{i} one two\n" for i in range(8)))
    return [str(tmp_path / name) for name in ("test.csv", "a.txt", "b.txt")]


def test_totals_are_printed(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data, first, second = files
    assert main(["evaluate", "asr", data, "-m", first, "--against", second]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["WER", "%", "CER", "%"]
    assert lines[1][:3] == ["a.txt", "50.00", "[50.00,"]
    assert lines[2][:3] == ["b.txt", "0.00", "[0.00,"]
    assert lines[3][:3] == ["difference", "-50.00", "[-50.00,"]
    assert lines[4] == ["p", "value", "0.0078", "0.0078"]


def test_a_page_is_written_and_failures_are_told(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data, first, _ = files
    Path(data).write_text(Path(data).read_text() + "9.wav,one,s9\n")
    output = Path(data).parent / "out"
    assert main(["evaluate", "asr", data, "-m", first, "-o", str(output), "--by", "speaker", "--json"]) == 1
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert answer["page"] == str(output / "index.html")
    assert answer["systems"][0]["totals"]["wer"]["rate"] == 0.5
    assert "recordings" not in answer
    assert printed.err.splitlines()[0] == f"1 could not be used: {output / 'errors.jsonl'}"
    assert "9.wav has no text in" in printed.err


def test_wrong_use(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data, first, _ = files
    assert main(["evaluate"]) == 2
    assert "sonant evaluate asr" in capsys.readouterr().err
    assert main(["evaluate", "asr", data, "-m", first, "--label", "words"]) == 2
    assert main(["evaluate", "asr", data, "-m", first, "--metrics", "wer,mer"]) == 2
    assert main(["evaluate", "asr", data]) == 2
    assert main(["evaluate", "asr", data, "-m", "none.trn"]) == 1
    assert "no hypotheses at none.trn" in capsys.readouterr().err
