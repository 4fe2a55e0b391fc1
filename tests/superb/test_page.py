"""The page on SUPERB and the help of its command name all tasks, corpora and layouts."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from sonant.cli.superb import evaluate_superb
from sonant.data.corpora import CORPORA
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setattr(sys, "path", [str(DOCS), *sys.path])
    written = import_module("superb_tables")
    return written.tasks(), written.corpora()


def test_every_task_has_a_line_or_is_said_not_to_be_there(tables: tuple[str, str]) -> None:
    tasks, _ = tables
    lines, missing = [line for line in tasks.splitlines() if line.startswith("| `")], tasks.splitlines()[-1]
    assert [line.split("`")[1] for line in lines] == list(AVAILABLE)
    assert {task for task in SUPERB_TASKS if f"(`{task}`)" in missing} == set(SUPERB_TASKS) - set(AVAILABLE)
    keywords = "| `ks` | keyword spotting | `label` | projection to 256, mean over time, linear layer; cross-entropy | "
    assert keywords + "200,000 | 0.0001 | 32 s | accuracy % | Speech Commands |" in lines


def test_every_corpus_has_a_line_with_its_layout(tables: tuple[str, str]) -> None:
    _, corpora = tables
    assert [line.split("`")[1] for line in corpora.splitlines()[2:]] == list(CORPORA)
    assert "| `voxceleb1` | `sid`, `asv` | VoxCeleb1: dev/wav and test/wav" in corpora


def test_the_page_includes_both_tables() -> None:
    page = (DOCS / "superb.md").read_text(encoding="utf-8")
    assert "{include} api/superb_tasks.inc" in page
    assert "{include} api/superb_corpora.inc" in page


def test_the_help_names_the_tasks() -> None:
    told = " ".join((evaluate_superb.__doc__ or "").split())
    assert f"The tasks are {', '.join(AVAILABLE[:-1])} and {AVAILABLE[-1]}." in told
