"""The fields of a manifest that an analysis probes, and those that it shows."""

import json
from pathlib import Path

from sonant.analysis.corpus import chosen_fields, recurring_fields
from sonant.data import read_manifest


def test_fields_with_too_few_recordings_to_be_probed_are_shown(tmp_path: Path) -> None:
    rows = [
        {
            "path": f"{number}.wav",
            "speaker": "ab"[number % 2],
            "lang": "en",
            "word": f"w{number // 2}",
            "id": str(number),
        }
        for number in range(6)
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entries = read_manifest(tmp_path / "list.jsonl")
    probed, left_out = chosen_fields(entries, None)
    assert probed == []
    assert any(sentence.startswith("speaker: of its 2 values, 0 have 5") for sentence in left_out)
    assert recurring_fields(entries) == ["speaker", "word"]
