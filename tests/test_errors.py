"""Messages give advice that works on the machine that prints them."""

import importlib.metadata

import pytest

from sonant import errors
from sonant.errors import MissingExtra

METADATA = [
    "torch<3,>=2.9",
    'av>=14; extra == "audio"',
    'sonant[audio,plot]; extra == "all"',
    "matplotlib<4,>=3.9; extra == 'plot'",
    'uvloop<1,>=0.21; sys_platform != "win32" and extra == "all"',
]


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that the metadata name, matplotlib alone is there."""

    def distribution(name: str) -> str:
        if name != "matplotlib":
            raise importlib.metadata.PackageNotFoundError(name)
        return name

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: METADATA)
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("audio", "pip install 'av>=14'"),
        ("all", """pip install 'av>=14' 'uvloop<1,>=0.21; sys_platform != "win32"'"""),  # what is there is left out
        ("plot", "pip install 'matplotlib<4,>=3.9'"),  # there, but it cannot be imported
        ("unknown", "pip install 'package'"),
    ],
)
def test_the_command_names_what_an_extra_lacks(extra: str, command: str) -> None:
    assert errors.pip_install(extra, "package") == command
    assert command in str(MissingExtra("package", extra=extra, purpose="This"))


def test_a_copy_that_is_not_installed_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert errors.pip_install("audio", "av") == "pip install 'av'"
