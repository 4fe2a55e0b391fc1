"""The six pages for newcomers: their commands and their Python run, one after another, and print what the pages say."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.server.settings import ServerSettings
from tests.server.running import running
from tests.test_docs import DOCS, ROOT, Block, blocks

PATH = ["install", "first_vectors", "which_layer", "train_on_labels", "evaluate", "serve"]
INSTALLING = ("python3 -m venv", "sonant serve", "pip install")  # lines that no test runs
ADDRESS = "http://127.0.0.1:8000"


def masked(line: str) -> str:
    """A line with its numbers taken out, as they differ between machines."""
    return " ".join(re.sub(r"\d[\d.,:%]*", "#", line).split())


def run(block: Block, names: dict[str, object], address: str, printed: pytest.CaptureFixture[str]) -> str:
    """Run a block and return what it prints."""
    printed.readouterr()
    if block.language == "python":
        exec(compile("\n" * (block.line - 1) + block.text.replace(ADDRESS, address), str(block.page), "exec"), names)
    for line in block.text.replace("\\\n", " ").splitlines() if block.language == "console" else []:
        command = line.removeprefix("$ ")
        if command.startswith("sonant ") and not command.startswith(INSTALLING):
            assert main(shlex.split(command)[1:]) == 0, command
        elif command.startswith("curl "):
            print(subprocess.check_output(command.replace(ADDRESS, address), shell=True, text=True))
        else:
            assert command.startswith(INSTALLING), f"{block.page.name}:{block.line}: {command}"
    return "\n".join(printed.readouterr())


def test_each_page_leads_to_the_next() -> None:
    for number, (name, following) in enumerate(zip(PATH, [*PATH[1:], ""], strict=True), start=1):
        text = (DOCS / f"path/{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        assert not following or re.search(rf"^\*\*Next:\*\* \[[\w ]+\]\({following}\.md\)", text, re.MULTILINE), name
    assert sorted(PATH) == sorted(page.stem for page in (DOCS / "path").glob("*.md"))


@pytest.mark.slow
def test_the_pages_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    shutil.copytree(ROOT / "examples/speech", tmp_path / "examples/speech")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in PATH[:-1]:
        check(DOCS / f"path/{name}.md", "", capsys)
    with running(ServerSettings(data=Path("sonant-data"), models=("sonant/wavlm-tiny", "runs/who/model"))) as server:
        check(DOCS / "path/serve.md", server.base_url, capsys)


def check(page: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the blocks of a page in one namespace; a block of text says what the one before prints."""
    names: dict[str, object] = {}
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "text":
            missing = [line for line in block.text.splitlines() if masked(line) not in lines]
            assert not missing, f"{page.name}:{block.line} shows {missing}, printed was {lines}"
        else:
            lines = [masked(line) for line in run(block, names, address, capsys).splitlines()]
