"""The README and the pages keep their word: examples run, commands parse, links lead somewhere, names are described."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

import sonant
from benchmarks import ship_model
from sonant.cli import EXIT_CODES, VERBS, find_function
from sonant.cli.command_line import build_parser
from sonant.errors import AudioError
from sonant.extraction.voice_calibrations import SHIPPED, read_calibrations
from sonant.recipes import PRETRAINING
from sonant.server.app import create_app
from sonant.server.settings import ServerSettings
from sonant.server.web.openapi_reading import operations
from tests.server.running import running

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


class Block(NamedTuple):
    """One fenced block of a page."""

    page: Path
    line: int  # of its first line of text
    language: str
    text: str


def pages() -> list[Path]:
    written = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "api"} & set(path.relative_to(DOCS).parts))
    return [*(ROOT / name for name in ROOT_PAGES), *written]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\{?[\w-]*\}?)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text[: found.start(2)].count("\n") + 1, found[1], found[2])


def without_blocks(page: Path) -> str:
    """The running text of a page, its lines where they were."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Every `sonant ...` line of a console block and every `sonant verb ...` in running text, with its place."""
    found = []
    for page in pages():
        for block in blocks(page):
            if block.language not in {"console", "bash", "sh"}:
                continue
            text = block.text.replace("\\\n", " ")
            for number, line in enumerate(text.splitlines()):
                if re.match(r"(\$ )?sonant\b", line):
                    found.append((f"{page.relative_to(ROOT)}:{block.line + number}", line.removeprefix("$ ")))
        prose = without_blocks(page)
        for number, line in enumerate(prose.splitlines(), start=1):
            place = f"{page.relative_to(ROOT)}:{number}"
            found += [(place, command) for command in re.findall(r"`(sonant [a-z][^`]*)`", line)]
    return found


def links() -> list[tuple[str, Path, str]]:
    """Relative links and pictures: place, page, target."""
    found = []
    for page in pages():
        text = without_blocks(page)
        for number, line in enumerate(text.splitlines(), start=1):
            place = f"{page.relative_to(ROOT)}:{number}"
            found += [(place, page, target) for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", line)]
    return found


def anchors(page: Path) -> set[str]:
    """The heading anchors of a page, as GitHub and MyST make them, and its explicit MyST labels."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return made | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def test_there_is_something_to_test() -> None:
    assert len([block for block in blocks(ROOT / "README.md") if block.language == "python"]) >= 4
    assert len(commands()) >= 10
    assert len(links()) >= 15


def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks in order, in one namespace, in a folder that holds the examples."""
    shutil.copytree(ROOT / "examples/speech", tmp_path / "examples/speech")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, object] = {}
    with running(ServerSettings(data=tmp_path / "sonant-data")) as server:
        for block in blocks(ROOT / "README.md"):
            if block.language == "python":
                text = block.text.replace("http://127.0.0.1:8000", server.base_url)
                code = "\n" * (block.line - 1) + text  # a traceback names the README's own line
                exec(compile(code, str(ROOT / "README.md"), "exec"), names)
    encoder, frames, vector, states = (names[name] for name in ("encoder", "frames", "vector", "states"))
    assert isinstance(encoder, sonant.SpeechEncoder)
    assert frames.shape[1] == encoder.dim
    assert vector.shape == (encoder.dim,)
    assert states.shape == (encoder.num_layers + 1, *frames.shape)
    assert names["same"] > names["other"]
    assert np.allclose(names["served"], vector, atol=1e-5)
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    assert np.array_equal(names["again"].encode(noise), encoder.encode(noise))


@pytest.mark.parametrize(("place", "command"), [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in commands()])
def test_commands_parse(place: str, command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    words = words[: words.index("|")] if "|" in words else words
    words = words[: words.index(">")] if ">" in words else words
    verb = " ".join(words[:2]) if " ".join(words[:2]) in VERBS else words[0]
    assert verb in VERBS, f"{place}: there is no command `sonant {verb}`"
    if find_spec(VERBS[verb].function.partition(":")[0]) is None:
        pytest.skip(f"`sonant {verb}` is not written yet")
    arguments = words[len(verb.split()) :]
    parser = build_parser(find_function(verb), verb, below={})
    known = {name for action in parser._actions for name in action.option_strings}
    unknown = [word for word in arguments if re.match(r"-\w|--\w", word) and word.partition("=")[0] not in known]
    assert not unknown, f"{place}: `sonant {verb}` has no {unknown}; it has {sorted(known)}"
    is_whole = "-h" not in arguments and "--help" not in arguments and "..." not in command
    if is_whole and arguments:
        _, left = parser.parse_known_intermixed_args(arguments)
        assert not left, f"{place}: `{command}` leaves {left} over"


@pytest.mark.parametrize(
    ("place", "page", "target"), [pytest.param(*each, id=f"{each[0]} {each[2]}") for each in links()]
)
def test_links_lead_somewhere(place: str, page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path) if path else page
    if file.parent == DOCS / "api":  # written at build time from the rooms
        assert file.stem == "index" or find_spec(f"sonant.{file.stem}"), f"{place}: there is no room {file.stem}"
        return
    assert file.exists(), f"{place}: {target} leads nowhere"
    assert ROOT in file.resolve().parents, f"{place}: {target} leaves the repository"
    if anchor:
        assert anchor in anchors(file), f"{place}: {file.name} has no heading #{anchor}; it has {sorted(anchors(file))}"


@pytest.mark.parametrize("name", [name for name in sonant.__all__ if not name.startswith("__")])
def test_public_names_are_described(name: str) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages() if page.is_relative_to(DOCS))
    assert re.search(rf"\b(sonant\.)?{name}\b", text), f"sonant.{name} is in no page of docs/"
    assert (getattr(sonant, name).__doc__ or "").strip(), f"sonant.{name} has no docstring"


def test_commands_are_described() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages() if page.is_relative_to(DOCS))
    missing = [verb for verb in VERBS if f"sonant {verb}" not in text]
    assert not missing, f"no page of docs/ shows: {missing}"


def written_by(script: str) -> ModuleType:
    """Import a script of docs/."""
    spec = spec_from_file_location(script, DOCS / f"{script}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_published_recipe_has_a_table_of_sources() -> None:
    tables = written_by("recipes").tables()
    assert [name for name in PRETRAINING if not name.endswith("_tiny") and f"## `{name}`" not in tables] == []


def test_the_reference_of_commands_has_every_option() -> None:
    page = written_by("command_reference").command_page()
    sections = dict(re.findall(r"^##+ `sonant ([^`]+)`$(.*?)(?=^##+ |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(VERBS)
    for verb, text in sections.items():
        parser = build_parser(find_function(verb), verb, below={})
        for name, action in parser.arguments.items():
            shown = action.option_strings[-1:] or [action.metavar]
            assert name == "help" or f"`{shown[0]}`" in text, f"sonant {verb}: {name}"
    assert all(f"\n| {code} | " in page for code in EXIT_CODES)


def test_the_reference_of_the_server_has_every_route() -> None:
    page = written_by("server_reference").server_page()
    for operation in operations(create_app(ServerSettings()).openapi()):
        assert f"### `{operation.method} {operation.path}`" in page
        for field in (field for body in operation.bodies for field in body.fields):
            assert f"- `{field.name}` (" in page
        assert all(f"\n| {answer.status} | " in page for answer in operation.answers if answer.is_error)
    kinds = set(re.findall(r"list of ([a-z]+[A-Z]\w+)", page))
    assert kinds <= set(re.findall(r"^### (\w+)$", page, re.MULTILINE))


def test_table_of_models_is_current() -> None:
    catalog = written_by("catalog")
    page = catalog.PAGE.read_text(encoding="utf-8")
    assert page == catalog.written(page), "run: python docs/catalog.py"
    assert "wavlm-base" in page


def test_figures_of_the_shipped_model_are_of_its_present_weights() -> None:
    present = sonant.load("sonant/wavlm-tiny", device="cpu")
    stale = [page.name for page, fingerprints in ship_model.figures().items() if fingerprints != {present.revision}]
    assert not stale, "see `Shipping a new model` in CONTRIBUTING.md"
    assert list(read_calibrations(SHIPPED)) == [present.voice_fingerprint]


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in pages():
        for block in blocks(page):
            if block.language == "{toctree}":
                names = [line.strip() for line in block.text.splitlines() if line.strip() and not line.startswith(":")]
                listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    orphans = [page.name for page in pages() if page.is_relative_to(DOCS) and page.resolve() not in listed]
    assert orphans == ["index.md"]


def test_what_keeps_the_limits_of_security_exists() -> None:
    named = re.findall(r"`((?:src|tests|docs)/[\w/.]+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    assert not [path for path in named if not (ROOT / path).exists()]


def test_make_targets_exist() -> None:
    """Every `make something` that a page shows, and the machinery that calls it."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(page.read_text(encoding="utf-8") for page in [*pages(), ROOT / ".ci/run"])
    shown = set(re.findall(r"(?:`|\$ |^)make ([a-z][\w-]*)", text, re.MULTILINE))
    assert {"test", "demo", "check", "docs", "test-all"} <= shown <= targets
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_every_audio_error_is_described() -> None:
    text = (DOCS / "audio.md").read_text(encoding="utf-8")
    missing = [error.__name__ for error in AudioError.__subclasses__() if f"`{error.__name__}`" not in text]
    assert not missing, f"docs/audio.md does not say what raises {missing}"


def test_the_changelog_says_everything_once() -> None:
    """Entries that begin alike are two versions of one, which a merge by union leaves side by side."""
    entries = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:2] == "- "]
    beginnings = [entry[:60] for entry in entries]
    twice = sorted({beginning for beginning in beginnings if beginnings.count(beginning) > 1})
    assert not twice, f"CHANGELOG.md has several entries that begin with {twice}; make one of them"


def test_the_walks_through_the_code_lead_through_files_that_are_there() -> None:
    """In ten steps or fewer each."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    source = Path(sonant.__file__).parent
    paths = re.findall(r"`([\w/]+(?:/|\.py))`", text)
    assert len(paths) > 40
    assert not [path for path in paths if not (source / path).exists() and path != "src/sonant/"]
    walks = text.split("\n## ")[1:]
    assert len(walks) == 3
    assert all(3 <= len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) <= 10 for walk in walks)
