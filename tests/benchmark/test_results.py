"""What was measured is written, read and shown."""

from pathlib import Path

import pytest

from sonant.benchmark import report, results
from sonant.benchmark.plots import draw
from sonant.benchmark.results import FILE
from sonant.errors import ConfigurationError
from tests.benchmark import synthetic


def test_results_come_back_as_they_were(tmp_path: Path):
    given = synthetic.results()
    results.write(given, tmp_path)
    assert results.read(tmp_path) == given
    assert results.read(tmp_path / FILE) == given
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 99}', '{"version": 1, "speed": []}'])
def test_a_foreign_file_is_refused(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigurationError, match="not a file that this version"):
        results.read(tmp_path)


def test_rows_of_a_case_take_the_place_of_older_ones():
    found = synthetic.results()
    found.replace([synthetic.speed("wavlm-base", "10s", "sonant", [7.0])])
    assert found.measured("wavlm-base", "10s") == {"sonant"}
    assert found.measured("wavlm-base", "batch") == {"sonant", "padded"}


def test_medians_ratios_and_the_share_of_the_limit():
    found = synthetic.results()
    ours = found.find("wavlm-base", "10s", "sonant")
    assert ours is not None
    assert ours.seconds == 2.0
    assert ours.cpu_seconds == 4.0
    assert ours.fraction_of_limit == 0.5
    assert ours.memory == 100 * synthetic.MEBI
    assert report.ratio(found, ours) == 2.5
    stopped = found.find("wavlm-base", "60s", "transformers")
    assert stopped is not None
    assert stopped.seconds is None
    assert report.ratio(found, stopped) is None


def test_tables_show_what_was_measured():
    text = report.report(synthetic.results())
    assert (
        "| WavLM Base | sonant | 2.00 s | 3 | 5.0 | 2.50 | 4.00 s | 75 | 50% | 100 MiB | 2e-06 | > 0.999999 |" in text
    )
    assert "| 2.0 % | 0.999120 | taken for float32 |" in text
    assert "| WavLM Base | transformers | 5.00 s | 2 | 2.0 | 1.00 |" in text
    assert "out of memory |" in text
    assert "| WavLM Base | float32 | the engine, with decoding | 10.0 | 80% |" in text
    assert "| WavLM Base | transformers | 5 MiB | out of memory |" in text
    assert "| `aten::addmm` | 48 | 60.0% |" in text
    assert "- OpenVINO: the package openvino is not installed" in text
    assert "- WavLM Large, one clip of 60 s: needs about 5.0 min" in text


def test_every_picture_is_drawn(tmp_path: Path):
    pytest.importorskip("matplotlib")
    drawn = draw(synthetic.results(), tmp_path)
    assert {path.stem for path in drawn} == {"ratios", "lengths", "memory", "batches", "sizes"}
    assert all(path.stat().st_size > 5_000 for path in drawn)
