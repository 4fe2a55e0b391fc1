"""The notebooks of docs/notebooks/ run in clean kernels, and show what they give today."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.test_docs import DOCS, anchors, blocks, written_by
from tests.test_words import wrong_words

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))

QUICK = "search"
assert QUICK in {path.stem for path in NOTEBOOKS}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def text_of(path: Path) -> str:
    """Return the text between the code."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def kinds(cell: NotebookNode) -> list[tuple[str, ...]]:
    """Return what a cell shows: printed text, or the media types of pictures and sounds."""
    shown = [output for output in cell.outputs if output.get("name") != "stderr"]
    return [(output.get("name", ""), *sorted(output.get("data", {}))) for output in shown]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem == QUICK else pytest.mark.slow) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_in_a_clean_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without errors and warnings; each cell shows what it shows in the file, in kind."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOCS.parent / "src"), os.environ.get("PYTHONPATH", "")]))
    before = set((DOCS / "notebooks").iterdir())
    ran = [cell for cell in written_by("run_notebooks").run(path).cells if cell.cell_type == "code"]
    progress = [output.text for cell in ran for output in cell.outputs if output.get("name") == "stderr"]
    assert not [text for text in progress if "Warning" in text]
    for now, kept in zip(ran, code_cells(path), strict=True):
        assert kinds(now) == kinds(kept), f"run: python docs/run_notebooks.py {path.stem}\n{now.source}"
    assert set((DOCS / "notebooks").iterdir()) == before


@each_notebook
def test_a_notebook_is_kept_as_it_ran(path: Path) -> None:
    """All cells in order, no errors, little data."""
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < 500_000
    assert not re.search(r"/(home|root|work|tmp)/", path.read_text(encoding="utf-8"))


@each_notebook
def test_a_notebook_is_written_like_a_page(path: Path) -> None:
    text = text_of(path)
    assert re.match(r"# \S", text)
    assert not wrong_words(path, text + "\n".join(cell.source for cell in code_cells(path)))
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]+)#?([^)\s]*)\)", text):
        page = path.parent / target
        assert page.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(page), f"{target} has no heading #{anchor}"


def test_every_notebook_is_in_the_table_of_contents() -> None:
    trees = [block.text for block in blocks(DOCS / "index.md") if block.language == "{toctree}"]
    assert {path.stem for path in NOTEBOOKS} == set(re.findall(r"^notebooks/(\w+)$", "\n".join(trees), re.MULTILINE))
