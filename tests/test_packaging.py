"""What pyproject.toml promises: pinned dependencies, documented extras, a wheel with everything in it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sonant

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ROOMS_OF_ADVICE = ("src", "docs", "deploy", "examples", "benchmarks", "gpu", "tests")
TEXT = {"", ".py", ".md", ".html", ".js", ".service", ".yml", ".yaml"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_extras_in_the_docs_exist() -> None:
    extras = set(PROJECT["optional-dependencies"])
    table = re.findall(r"^\| `(\w+)` \|", (DOCS / "installation.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(table) == extras
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for group in re.findall(r"\.\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
            assert set(group.split(",")) <= extras, f"{page.name} names an extra that does not exist: {group}"


def test_no_advice_needs_an_index_that_has_sonant() -> None:
    """sonant is on no package index: pip finds it in a checkout, as `.`, or not at all."""
    ours = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", *(f"{name}/**/*" for name in ROOMS_OF_ADVICE)]
    paths = [path for pattern in ours for path in ROOT.glob(pattern) if path.suffix in TEXT and path.is_file()]
    assert len(paths) > 300
    wrong = [str(path) for path in paths if re.search(r"pip install\W+sonant\b", path.read_text(encoding="utf-8"))]
    assert not wrong


def test_direct_dependencies_are_pinned() -> None:
    """Each package that pyproject.toml names has a version in constraints.txt, within the range."""
    wanted = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    pins = {
        pin.name.lower().replace("_", "-"): str(pin.specifier).removeprefix("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
        for pin in [Requirement(line)]
    }
    for requirement in map(Requirement, wanted):
        name = requirement.name.lower().replace("_", "-")
        if name not in {"sonant", "triton"}:  # which Triton is right, torch for CUDA says itself
            assert pins.get(name) in requirement.specifier, f"{requirement}: constraints.txt has {pins.get(name)}"


def declared(lines: list[str]) -> set[str]:
    return {requirement.name.lower().replace("_", "-") for requirement in map(Requirement, lines)} - {"sonant"}


IMPORTED_INSIDE_FUNCTIONS = {
    "triton_programs.py",
    "triton_norm_programs.py",
    "mteb_model.py",
    "mseb_encoder.py",
    "server",
}  # as a whole: written in the language of an extra


def test_imports_are_declared() -> None:
    """What is imported on loading is a core dependency, what is imported inside functions is at least in an extra."""
    core = declared(PROJECT["dependencies"])
    anywhere = core | declared([line for extra in PROJECT["optional-dependencies"].values() for line in extra])
    distributions = {**packages_distributions(), "mlflow": ["mlflow-skinny"]}  # the part that holds the client
    used = set()
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {
            node
            for outer in ast.walk(tree)
            if isinstance(outer, ast.FunctionDef)
            or (isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING")
            for node in ast.walk(outer)
        }
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for package in {name.partition(".")[0] for name in names} - {"sonant", *sys.stdlib_module_names}:
                (name,) = {name.lower().replace("_", "-") for name in distributions.get(package, [package])}
                used.add(name)
                allowed = anywhere if node in inside or IMPORTED_INSIDE_FUNCTIONS & set(path.parts) else core
                assert name in allowed, f"{path.relative_to(ROOT)}:{node.lineno}: {name} is not in pyproject.toml"
    assert core <= used, f"core dependencies that nothing imports: {sorted(core - used)}"


def test_changelog_names_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert sonant.__version__ in headings
    assert f"version: {sonant.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.slow
def test_wheel_holds_everything(tmp_path: Path) -> None:
    """Every module, the typing marker, the shipped model and the web pages; nothing from outside the package."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        clone,
    ]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("sonant-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = clone / "src"
    kinds = {".py", ".cpp", ".h", ".typed", ".safetensors", ".json", ".md", ".mako"}
    kinds |= {".html", ".css", ".js", ".svg", ".woff2", ".flac", ".txt"}  # the web pages
    expected = {str(path.relative_to(source)) for path in (source / "sonant").rglob("*") if path.suffix in kinds}
    assert "sonant/py.typed" in names
    assert sorted(names) == sorted(expected), "a folder without __init__.py, or a file that package-data does not name?"
