"""Run the notebooks of docs/notebooks/ in clean kernels, and keep their outputs.

    python docs/run_notebooks.py [NAME ...]          # of all without a name

Needs `pip install '.[test]'`.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

FOLDER = Path(__file__).parent / "notebooks"
SECONDS = 600  # for a cell


def main(names: list[str]) -> None:
    """Run notebooks by name, and write them with their new outputs."""
    for path in [FOLDER / f"{name}.ipynb" for name in names] or notebooks():
        nbformat.write(run(path), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def notebooks() -> list[Path]:
    """Return the paths of all notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def run(path: Path) -> NotebookNode:
    """Return a notebook as a new kernel runs it, in the folder of the notebooks and without a network.

    Raises CellExecutionError, with the cell and its traceback, if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as sockets:
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            startup_timeout=SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(FOLDER)}},
            record_timing=False,  # the file changes only where outputs do
            coalesce_streams=True,
            config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),  # no ports
        )
        client.execute(env=os.environ | {"HF_HUB_OFFLINE": "1"})
    notebook.metadata.language_info = {"name": "python"}  # without the version of this machine
    return notebook


if __name__ == "__main__":
    main(sys.argv[1:])
