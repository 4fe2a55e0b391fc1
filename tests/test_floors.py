"""The house stands: imports go down, rooms on one floor do not know each other, and nothing runs in a circle.

Imports inside functions count.  Those under `if TYPE_CHECKING:` count for the floors, not for the circles.
"""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import sonant

SOURCE = Path(sonant.__file__).parent

# Lowest first.  `errors` lies under the ground floor, so that the rooms there may raise from the one tree; `sonant` is
# the package's own `__init__`, which offers the names of `api`, and `__main__` stands on the roof.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "running_moments"),
    ("audio", "layers", "loss", "renamed_settings"),
    ("models", "data", "configuration"),
    ("pretraining", "tasks", "decoding", "checkpoints", "inference", "pages"),
    ("extraction", "evaluation", "export"),
    ("training", "analysis"),
    ("api", "recipes", "benchmark"),
    ("self_training", "superb", "integrations"),
    ("sonant",),
    ("server",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

FAMILIES = {
    f"sonant.models.{name}"
    for name in (
        *("codes_to_text", "data2vec", "discrete_bert", "filter_bank", "hubert", "sew", "unispeech", "vq_wav2vec"),
        *("w2v_bert2", "wav2vec", "wav2vec2", "wav2vec2_conformer", "wavlm"),
    )
}
ROOMS_WITHOUT_FAMILIES = {"training", "extraction", "evaluation", "analysis", "export"}

OPTIONAL = {
    "alembic", "argon2", "av", "datasets", "faiss", "fastapi", "httpx2", "jinja2", "kaldi_native_fbank",
    "markupsafe", "matplotlib", "mlflow", "mseb", "mteb", "multipart", "onnx", "onnx_ir", "onnxruntime",
    "onnxscript", "openvino", "orjson", "pandas", "panphon", "pesq", "prometheus_client", "psycopg", "pyarrow",
    "pydantic", "python_multipart", "ray", "sentencepiece", "sklearn", "sqlalchemy", "starlette", "tensorboard",
    "tokenizers", "torch.utils.tensorboard", "torchaudio", "transformers", "triton", "uvicorn", "wandb",
}  # fmt: skip
# Written in the language of optional packages, and so themselves imported inside functions only.
IN_ITS_LANGUAGE = {
    "sonant.layers.kernels.triton_programs": {"triton"},
    "sonant.layers.kernels.triton_norm_programs": {"triton"},
    "sonant.integrations.mteb_model": {"mteb"},
    "sonant.integrations.mseb_encoder": {"mseb"},
    "sonant.server": {
        "alembic", "argon2", "fastapi", "httpx2", "jinja2", "markupsafe", "orjson", "prometheus_client", "pydantic",
        "python_multipart", "sqlalchemy", "starlette", "uvicorn",
    },
}  # fmt: skip
GROUND_FLOOR_PACKAGES = {"torch", "numpy", "soundfile", "soxr", "av", "triton"}  # the last two inside functions only


class Import(NamedTuple):
    """One import as written: who, where, what."""

    module: str
    place: str
    target: str
    lazy: bool  # inside a function
    typing_only: bool  # under `if TYPE_CHECKING:`


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str, file: str, *, is_package: bool) -> None:
        self.module, self.file = module, file
        self.package = module if is_package else module.rpartition(".")[0]
        self.imports: list[Import] = []
        self._lazy = self._typing_only = False

    def _add(self, node: ast.AST, target: str) -> None:
        place = f"{self.file}:{node.lineno}"  # type: ignore[attr-defined]
        self.imports.append(Import(self.module, place, target, self._lazy, self._typing_only))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        origin = node.module or ""
        if node.level:
            parents = self.package.split(".")
            origin = ".".join([*parents[: len(parents) - node.level + 1], *([origin] if origin else [])])
        for alias in node.names:
            self._add(node, f"{origin}.{alias.name}")  # a module or a name in one: `_resolve` decides

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"import_module", "__import__"} and node.args and isinstance(node.args[0], ast.Constant):
            self._add(node, str(node.args[0].value))
        self.generic_visit(node)

    def _visit_function(self, node: ast.AST) -> None:
        before, self._lazy = self._lazy, True
        self.generic_visit(node)
        self._lazy = before

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self.generic_visit(node)
            return
        before, self._typing_only = self._typing_only, True
        for statement in node.body:
            self.visit(statement)
        self._typing_only = before
        for statement in node.orelse:
            self.visit(statement)


class House(NamedTuple):
    """Every module of a package named `sonant`, and every import in it."""

    modules: frozenset[str]
    folders: frozenset[str]  # that hold modules, but no `__init__`
    imports: tuple[Import, ...]

    @classmethod
    def read(cls, source: Path) -> "House":
        found: dict[str, _Reader] = {}
        for path in sorted(source.rglob("*.py")):
            parts = ["sonant", *path.relative_to(source).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if is_package else parts)
            file = str(path.relative_to(source.parent.parent))
            found[module] = _Reader(module, file, is_package=is_package)
            found[module].visit(ast.parse(path.read_text(encoding="utf-8"), filename=file))
        folders = {module.rpartition(".")[0] for module in found} - found.keys() - {""}
        return cls(
            frozenset(found), frozenset(folders), tuple(entry for reader in found.values() for entry in reader.imports)
        )

    def resolve(self, target: str) -> str | None:
        """The longest module of ours that the dotted name begins with; None for other packages' names."""
        while target and target not in self.modules and target not in self.folders:
            target = target.rpartition(".")[0]
        return target or None

    def inner_imports(self) -> Iterator[tuple[Import, str]]:
        for entry in self.imports:
            target = self.resolve(entry.target)
            if target is not None and target != entry.module:
                yield entry, target


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def climbing_imports(house: House) -> list[str]:
    """One line for every import that goes up, or across to another room on the same floor."""
    wrong = []
    for entry, target in house.inner_imports():
        own, other = room_of(entry.module), room_of(target)
        if own == other:
            continue
        if FLOOR_OF[other] >= FLOOR_OF[own]:
            way = "climbs to" if FLOOR_OF[other] > FLOOR_OF[own] else "crosses the floor to"
            wrong.append(f"{entry.place}: {entry.module} {way} {target}")
    return wrong


def circle(house: House) -> list[str]:
    """The first circle of modules found, as lines `file:line: a imports b`; empty if there is none."""
    edges: dict[str, dict[str, str]] = {module: {} for module in house.modules}
    for entry, target in house.inner_imports():
        if not entry.typing_only:
            edges[entry.module].setdefault(target, entry.place)
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        way = error.args[1][::-1]
        return [f"{edges[a][b]}: {a} imports {b}" for a, b in pairwise(way)]
    return []


def folder_circle(house: House) -> list[str]:
    """The first circle in which a folder inside a room counts as one, as lines `a imports b`; empty if there is none.

    A folder may stand on files of its room, or they on it, but not both.
    """
    folders = {module.rpartition(".")[0] for module in house.modules if module.count(".") >= 3}

    def node(module: str) -> str:
        return next((folder for folder in folders if f"{module}.".startswith(f"{folder}.")), module)

    edges: dict[str, set[str]] = {}
    for entry, target in house.inner_imports():
        if not entry.typing_only and node(entry.module) != node(target):
            edges.setdefault(node(entry.module), set()).add(node(target))
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return [f"{a} imports {b}" for a, b in pairwise(error.args[1][::-1])]
    return []


@pytest.fixture(scope="module")
def house() -> House:
    return House.read(SOURCE)


def test_every_folder_is_a_package(house: House) -> None:
    assert not house.folders, f"without __init__.py, the wheel leaves these out: {sorted(house.folders)}"


def test_every_room_has_a_floor(house: House) -> None:
    homeless = sorted({room_of(module) for module in house.modules} - FLOOR_OF.keys())
    assert not homeless, f"rooms on no floor: {homeless}. Find them one in FLOORS, or move them into a room."


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/concepts.md"])
def test_the_drawing_is_true(page: str) -> None:
    text = (SOURCE.parent.parent / page).read_text(encoding="utf-8")
    drawn = {
        int(height): set(re.findall(r"(\w+)(?:/|\.py)", rooms)) for height, rooms in re.findall(r"floor (\d)(.+)", text)
    }
    ground = {*FLOORS[0], *FLOORS[1]}
    assert drawn == dict(enumerate([ground, *map(set, FLOORS[2:8]), *map(set, FLOORS[9:11])]))


def test_imports_go_down(house: House) -> None:
    wrong = climbing_imports(house)
    assert not wrong, "\n".join(["a room imports from lower floors and from itself only:", *wrong])


def test_no_circles(house: House) -> None:
    wrong = circle(house)
    assert not wrong, "\n".join(["modules import each other in a circle:", *wrong])


def test_no_circles_of_folders(house: House) -> None:
    wrong = folder_circle(house)
    assert not wrong, "\n".join(["a folder of a room and other files of it import each other:", *wrong])


def test_upper_floors_know_no_family(house: House) -> None:
    offered = {  # by `sonant.models` itself
        f"sonant.models.{entry.target.rpartition('.')[2]}"
        for entry, target in house.inner_imports()
        if entry.module == "sonant.models" and target in FAMILIES
    }
    assert "sonant.models.WavLMConfig" in offered
    wrong = [
        f"{entry.place}: {entry.module} imports {entry.target}"
        for entry, target in house.inner_imports()
        if room_of(entry.module) in ROOMS_WITHOUT_FAMILIES and (target in FAMILIES or entry.target in offered)
    ]
    assert not wrong, "\n".join(["floor 3 knows protocols and arrays, no families:", *wrong])


def test_ground_floor_needs_few_packages(house: House) -> None:
    wrong = [
        f"{entry.place}: {entry.module} imports {entry.target}"
        for entry in house.imports
        if FLOOR_OF[room_of(entry.module)] <= FLOOR_OF["audio"]
        and (package := entry.target.split(".")[0]) not in {"sonant", *sys.stdlib_module_names, *GROUND_FLOOR_PACKAGES}
        and package
    ]
    assert not wrong, "\n".join([f"floor 0 imports {sorted(GROUND_FLOOR_PACKAGES)} only:", *wrong])


def test_optional_packages_are_imported_where_used(house: House) -> None:
    wrong = [
        f"{entry.place}: {entry.module} imports {entry.target}"
        for entry in house.imports
        if not entry.lazy
        and not entry.typing_only
        and entry.target.split(".")[0] not in {"sonant", *IN_ITS_LANGUAGE.get(languages(entry.module), ())}
        and any(f"{entry.target}.".startswith(f"{package}.") for package in OPTIONAL)
    ] + [
        f"{entry.place}: {entry.module} imports {target}"
        for entry, target in house.inner_imports()
        if not entry.lazy and not entry.typing_only and languages(target) not in {None, languages(entry.module)}
    ]
    assert not wrong, "\n".join(["an optional package belongs inside the function that uses it:", *wrong])


def languages(module: str) -> str | None:
    """The key of `IN_ITS_LANGUAGE` that a module falls under: itself, or a room that it is in."""
    return next((name for name in IN_ITS_LANGUAGE if f"{module}.".startswith(f"{name}.")), None)


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light() -> None:
    heavy = "{'torch', 'transformers', 'numpy', 'huggingface_hub'}"
    assert _python(f"import sys, sonant; print(*sorted({heavy} & sys.modules.keys()))") == ""


def test_public_names_exist() -> None:
    for name in sonant.__all__:
        assert getattr(sonant, name) is not None
    assert set(sonant.__all__) <= set(dir(sonant))
    assert not hasattr(sonant, "__nothing__")
    with pytest.raises(AttributeError, match="SpeechEncoder"):
        _ = sonant.SpeachEncoder


def test_every_room_is_an_attribute_of_the_package(house: House) -> None:
    rooms = {room_of(module) for module in house.modules} - {"sonant", "__main__"}
    assert rooms <= set(dir(sonant))
    assert _python("import sonant; print(sonant.audio.read.__name__, sonant.errors.AudioError.__name__)") == (
        "read AudioError"
    )


@pytest.mark.slow
def test_every_module_imports_without_the_optional_packages(house: House) -> None:
    """Other packages that are needed may import some themselves, as huggingface_hub does httpx2."""
    modules = sorted(module for module in house.modules - {"sonant.__main__"} if languages(module) is None)
    _python(
        f"import importlib, sys\n"
        f"for package in {sorted(OPTIONAL - {'torch.utils.tensorboard', 'httpx2'})}: sys.modules[package] = None\n"
        f"for module in {modules}: importlib.import_module(module)"
    )


# The reader itself: each of these little houses has one fault, or none.


def _build(root: Path, files: dict[str, str]) -> House:
    source = root / "src" / "sonant"
    for name, text in {"__init__.py": "", **files}.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return House.read(source)


@pytest.mark.parametrize(
    ("file", "text", "line", "target"),
    [
        ("layers/a.py", "import torch\nfrom sonant.models import wavlm\n", 2, "sonant.models.wavlm"),
        ("layers/a.py", "from sonant import models\n", 1, "sonant.models"),
        ("layers/a.py", "def f():\n    import sonant.models.wavlm\n", 2, "sonant.models.wavlm"),
        ("layers/a.py", "from ..models.wavlm import WavLM\n", 1, "sonant.models.wavlm"),
        ("layers/a.py", "import importlib\nimportlib.import_module('sonant.models')\n", 2, "sonant.models"),
        ("layers/a.py", "if TYPE_CHECKING:\n    import sonant.models\n", 2, "sonant.models"),
        ("audio/a.py", "import sonant.layers\n", 1, "sonant.layers"),
        ("layers/__init__.py", "from sonant.audio import read\n", 1, "sonant.audio"),
        ("models/a.py", "import sonant\n", 1, "sonant"),
    ],
)
def test_reader_finds_what_climbs(tmp_path: Path, file: str, text: str, line: int, target: str) -> None:
    rooms = {f"{room}/__init__.py": "" for room in ("audio", "layers", "models")}
    rooms |= {"models/wavlm.py": "from sonant.layers import a\nimport sonant.errors\n", "errors.py": ""}
    house = _build(tmp_path, {**rooms, file: text})
    (found,) = climbing_imports(house)
    assert found.startswith(f"src/sonant/{file}:{line}: ")
    assert found.endswith(f" {target}")


def test_reader_lets_imports_go_down(tmp_path: Path) -> None:
    files = {
        "errors.py": "",
        "loss.py": "from sonant.errors import X\n",
        "audio/__init__.py": "from sonant.audio.files import read\n",
        "audio/files.py": "import sonant.errors\n",
        "api.py": "from sonant import audio\nimport sonant.loss\n",
        "cli/__init__.py": "import sonant\nfrom sonant.api import load\n",
    }
    house = _build(tmp_path, files)
    assert climbing_imports(house) == []
    assert circle(house) == []


@pytest.mark.parametrize("lazy", [False, True])
def test_reader_finds_circles(tmp_path: Path, *, lazy: bool) -> None:
    back = "def f():\n    from sonant.layers import a\n" if lazy else "from sonant.layers.a import x\n"
    house = _build(tmp_path, {"layers/a.py": "from sonant.layers.b import y\n", "layers/b.py": back})
    assert sorted(circle(house)) == [
        "src/sonant/layers/a.py:1: sonant.layers.a imports sonant.layers.b",
        f"src/sonant/layers/b.py:{1 + lazy}: sonant.layers.b imports sonant.layers.a",
    ]


def test_reader_finds_circles_of_folders(tmp_path: Path) -> None:
    files = {
        "layers/attention.py": "from sonant.layers.kernels.fast import x\n",
        "layers/packed.py": "",
        "layers/kernels/__init__.py": "",
        "layers/kernels/fast.py": "from sonant.layers.packed import y\n",
    }
    assert folder_circle(_build(tmp_path, files)) == []
    files |= {"layers/bias.py": "from sonant.layers.kernels.fast import x\n"}
    house = _build(tmp_path, files | {"layers/kernels/slow.py": "from sonant.layers.bias import z\n"})
    assert circle(house) == []
    assert sorted(folder_circle(house)) == [
        "sonant.layers.bias imports sonant.layers.kernels",
        "sonant.layers.kernels imports sonant.layers.bias",
    ]


def test_reader_lets_types_point_back(tmp_path: Path) -> None:
    back = "if TYPE_CHECKING:\n    from sonant.layers.a import x\n"
    house = _build(tmp_path, {"layers/a.py": "from sonant.layers.b import y\n", "layers/b.py": back})
    assert circle(house) == []
