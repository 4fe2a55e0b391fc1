"""Writes one page for every room of the package, with all its public modules: no module can be forgotten."""

import importlib
import pkgutil
import shutil
from pathlib import Path

import sonant

ROOMS = (
    "api", "audio", "models", "layers", "loss", "data", "checkpoints", "pretraining", "tasks", "decoding", "training",
    "recipes", "self_training", "superb", "integrations", "extraction", "evaluation", "analysis", "pages", "inference",
    "export", "benchmark", "errors",
)  # fmt: skip


def write_api_pages(folder: Path) -> None:
    """`folder/index.md` and a page for every room that exists; what was there before is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    present = {module.name for module in pkgutil.iter_modules(sonant.__path__)}
    rooms = [room for room in ROOMS if room in present]
    for room in rooms:
        (folder / f"{room}.md").write_text(room_page(room), encoding="utf-8")
    toc = "\n".join(rooms)
    (folder / "index.md").write_text(INDEX.format(toc=toc), encoding="utf-8")


def room_page(room: str) -> str:
    """The room itself first, then its modules; what a package re-exports is described once, there."""
    name = f"sonant.{room}"
    package = importlib.import_module(name)
    offered = getattr(package, "__all__", ())
    parts = [f"# `{name}`", automodule(name, imported=bool(offered))]
    if hasattr(package, "__path__"):
        for module in sorted(find.name for find in pkgutil.walk_packages(package.__path__, f"{name}.")):
            if any(part.startswith("_") for part in module.split(".")):
                continue
            shares_name = module.rpartition(".")[2] in offered  # sonant.audio.read is a module and a function
            parent = importlib.import_module(module.rpartition(".")[0])
            described = tuple(dict.fromkeys([*offered, *getattr(parent, "__all__", ())]))
            parts += [f"## `{module}`", automodule(module, exclude=described, index=not shares_name)]
    return "\n\n".join(parts) + "\n"


def automodule(name: str, *, imported: bool = False, exclude: tuple[str, ...] = (), index: bool = True) -> str:
    """The directive, inside a fence of MyST."""
    options = [":members:", ":show-inheritance:"]
    if imported:
        options.append(":imported-members:")
    if exclude:
        options.append(f":exclude-members: {', '.join(exclude)}")
    if not index:
        options.append(":no-index:")
    body = "\n".join([f".. automodule:: {name}", *(f"   {option}" for option in options)])
    return f"```{{eval-rst}}\n{body}\n```"


INDEX = """# Python

Written from the docstrings. `sonant.load` and `sonant.SpeechEncoder` are in [`sonant.api`](api.md); everything else is
imported from its room. Rooms are listed as a recording meets them.

```{{toctree}}
:maxdepth: 1

{toc}
```
"""
