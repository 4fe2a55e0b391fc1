"""The page on decoding: its commands run, one after another, on a miniature of what it names."""

import json
import re
import shlex
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.cli.command_line import Docs
from sonant.decoding.prefix_beam import BeamSearch
from sonant.extraction.decoder_options import DecoderOptions
from sonant.server.settings import read_settings
from tests.heads import write_ctc
from tests.test_docs import DOCS, blocks
from tests.test_recognition_page import write_corpus

PAGE = DOCS / "decoding.md"
SMALL = ["--beam", "10", "--unknown-score", "-1"]  # added to the commands that decode
FEWER = {"tune-decoder": ["--trials", "2"]}


def test_defaults_are_those_of_the_search() -> None:
    """On the page, and in the help of the commands."""
    shown = dict(re.findall(r"`--([a-z-]+) (-?[0-9.]+)`", PAGE.read_text(encoding="utf-8")))
    told = Docs.read(DecoderOptions).parameters
    for name in (
        "beam",
        "beam_threshold",
        "lm_weight",
        "word_score",
        "silence_weight",
        "unknown_score",
        "hot_word_score",
    ):
        default = getattr(BeamSearch, name)
        assert float(shown[name.replace("_", "-")]) == default, name
        assert f"Without it: {default:g}." in told[name].text, name


@pytest.mark.slow
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("recordings"))
    write_ctc(Path("runs/recognizer/model"))
    for name, speakers in (("train", ["dan"]), ("dev", ["ada", "ben"]), ("test", ["cleo"])):
        rows = [{"path": f"{speaker}/0001.wav", "text": "ONE TWO"} for speaker in speakers]
        Path(f"recordings/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = []
    text = "\n".join(block.text for block in blocks(PAGE) if block.language == "console").replace("\\\n", " ")
    for line in filter(None, text.splitlines()):
        _, _, verb, *arguments = shlex.split(line)
        if verb != "serve":
            small = SMALL if verb != "lm" and "--decoder" not in arguments else []
            assert main([verb, *arguments, *small, *FEWER.get(verb, [])]) == 0, line
        done.append(verb)
    assert done == ["lm", "tune-decoder", "transcribe", "evaluate", "serve"]
    assert "<details" in Path("evaluation/index.html").read_text()
    row = json.loads(Path("transcripts.jsonl").read_text())
    assert row["alternatives"][0]["text"] == row["text"]
    (yaml,) = (block.text for block in blocks(PAGE) if block.language == "yaml")
    Path("server.yaml").write_text(yaml)
    assert read_settings(Path("server.yaml")).decoders["recognizer"].lm_weight == 1.8
