"""Labels of one's own: they stand at the frames of the model, and what does not fit is counted and named."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sonant.data import ManifestEntry, WaveformStore
from sonant.errors import ConfigurationError, ManifestError
from sonant.models import Backbone, WavLMConfig, build
from sonant.pretraining import FileTargets
from sonant.pretraining.file_targets import import_labels


@pytest.fixture
def backbone(tiny: WavLMConfig) -> Backbone:
    return build(tiny)


def write_km(path: Path, waveforms: WaveformStore, rate: float = 50, first: int = 0) -> list[list[int]]:
    """Write labels of all recordings, a different number for each label of a recording."""
    rows = [list(range(first, first + int(samples * rate / 16_000))) for samples in waveforms.lengths]
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return rows


@pytest.mark.parametrize("rate", [25, 50, 100])
def test_a_frame_takes_the_label_of_its_time(
    rate: int, waveforms: WaveformStore, backbone: Backbone, tmp_path: Path
) -> None:
    rows = write_km(tmp_path / "all.km", waveforms, rate)
    targets = FileTargets(path=str(tmp_path / "all.km"), rate=rate).counted()
    labels = import_labels(waveforms, targets, tmp_path / "labels", backbone)
    for number, samples in enumerate(waveforms.lengths):
        frames = np.arange(backbone.num_frames(int(samples)))
        assert labels[number].tolist() == np.minimum(frames * rate // 50, rows[number][-1]).tolist()


def test_the_number_of_labels_is_counted_or_given(waveforms: WaveformStore, backbone: Backbone, tmp_path: Path) -> None:
    rows = write_km(tmp_path / "all.km", waveforms)
    targets = FileTargets(path=str(tmp_path / "all.km"))
    assert targets.counted().num_clusters == 1 + max(map(max, rows))
    assert replace(targets, num_clusters=9).counted().num_clusters == 9
    with pytest.raises(ManifestError, match=r"12 of 12 recordings have labels outside 0 to 8: .*0\.wav \(0 to \d+\)"):
        import_labels(waveforms, replace(targets, num_clusters=9), tmp_path / "few", backbone)
    write_km(tmp_path / "all.km", waveforms, first=-1)
    with pytest.raises(ManifestError, match=r"\(-1 to \d+\), .* and 7 more"):
        import_labels(waveforms, replace(targets, num_clusters=999), tmp_path / "negative", backbone)


def test_labels_of_another_length_are_counted_and_listed(
    waveforms: WaveformStore, backbone: Backbone, tmp_path: Path
) -> None:
    path = tmp_path / "all.km"
    rows = write_km(path, waveforms)
    rows[3], rows[5] = rows[3][:-7], rows[5] + [0] * 7
    rows[7] = rows[7][:-2]  # within the tolerance
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    targets = FileTargets(path=str(path), num_clusters=999)
    with pytest.raises(ManifestError, match=r"2 of 12 .* 50 labels a second: .*3\.wav .*5\.wav .*Is the rate another"):
        import_labels(waveforms, targets, tmp_path / "labels", backbone)
    rows = write_km(path, waveforms)
    rows[7] = rows[7][:-2]
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    labels = import_labels(waveforms, targets, tmp_path / "labels", backbone)
    assert len(labels[7]) == backbone.num_frames(int(waveforms.lengths[7]))
    assert labels[7][-1] == rows[7][-1]
    with pytest.raises(ManifestError, match="12 of 12 recordings have more or fewer labels"):
        import_labels(waveforms, replace(targets, rate=100), tmp_path / "twice", backbone)


def test_labels_follow_the_data_or_the_list_that_is_named(
    recordings: list[ManifestEntry], backbone: Backbone, tmp_path: Path
) -> None:
    recordings[2].path.write_bytes(b"not audio")  # a row of the data, but no recording
    waveforms = WaveformStore.build(recordings, tmp_path / "waveforms")
    count = {str(path): int(samples) // 320 for path, samples in zip(waveforms.paths, waveforms.lengths, strict=True)}
    values = {str(entry.path): [number] * count.get(str(entry.path), 1) for number, entry in enumerate(recordings)}
    (tmp_path / "a.km").write_text("".join(" ".join(map(str, row)) + "\n" for row in values.values()))
    targets = FileTargets(path=str(tmp_path / "a.km"), num_clusters=12)
    in_order = import_labels(waveforms, targets, tmp_path / "in order", backbone)
    expected = [number for number in range(12) if number != 2]
    assert [row[0] for row in in_order] == expected
    listed = list(reversed(values))
    (tmp_path / "b.tsv").write_text("/\n" + "".join(f"{path}\t1\n" for path in listed))
    (tmp_path / "b.km").write_text("".join(" ".join(map(str, values[path])) + "\n" for path in listed))
    named = replace(targets, path=str(tmp_path / "b.km"), manifest=str(tmp_path / "b.tsv"))
    assert [row[0] for row in import_labels(waveforms, named, tmp_path / "named", backbone)] == expected
    (tmp_path / "a.km").write_text("1\n2\n")
    with pytest.raises(ManifestError, match=r"labels for 2 recordings, and the data lists 12.*targets\.manifest=TSV"):
        import_labels(waveforms, targets, tmp_path / "short", backbone)


def test_recordings_without_labels_are_listed(waveforms: WaveformStore, backbone: Backbone, tmp_path: Path) -> None:
    rows = write_km(tmp_path / "all.km", waveforms)
    known = {f"{i}.wav": row for i, row in enumerate(rows) if i not in (4, 6)}
    (tmp_path / "some.jsonl").write_text("".join(json.dumps({"path": k, "labels": v}) + "\n" for k, v in known.items()))
    targets = FileTargets(path=str(tmp_path / "some.jsonl")).counted()
    with pytest.raises(ManifestError, match=r"2 of 12 recordings have no labels in .*: .*4\.wav, .*6\.wav\."):
        import_labels(waveforms, targets, tmp_path / "labels", backbone)


def test_labels_that_were_changed_are_noticed(waveforms: WaveformStore, backbone: Backbone, tmp_path: Path) -> None:
    write_km(tmp_path / "all.km", waveforms)
    targets = FileTargets(path=str(tmp_path / "all.km"), num_clusters=999)
    import_labels(waveforms, targets, tmp_path / "labels", backbone)
    (tmp_path / "all.km").rename(tmp_path / "moved.km")
    moved = replace(targets, path=str(tmp_path / "moved.km"))
    import_labels(waveforms, moved, tmp_path / "labels", backbone)
    write_km(tmp_path / "moved.km", waveforms, first=1)
    with pytest.raises(ConfigurationError, match="labels: there"):
        import_labels(waveforms, moved, tmp_path / "labels", backbone)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="labels a second"):
        FileTargets(rate=0)
    with pytest.raises(ManifestError, match=r"objective\.targets\.path=PATH"):
        FileTargets().counted()
