"""`sonant serve`: what is given on the command line reaches the server."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sonant.cli import main
from sonant.server import ray_serve, run
from sonant.server.settings import ServerSettings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ServerSettings]]:
    """What would have been started, and with which settings."""
    calls: list[tuple[str, ServerSettings]] = []

    def note(kind: str) -> Any:
        return lambda settings, announce: calls.append((kind, settings)) or 0

    monkeypatch.setattr(run, "run", note("here"))
    monkeypatch.setattr(ray_serve, "run_on_ray", note("on ray"))
    return calls


def test_nothing_need_be_given(started: list[tuple[str, ServerSettings]]) -> None:
    assert main(["serve"]) == 0
    assert started == [("here", ServerSettings())]


def test_all_that_is_given_arrives(started: list[tuple[str, ServerSettings]], tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("port: 1\nanonymous: false\ndrain_seconds: 3\n")
    words = "serve --host 0.0.0.0 --port 9 --data d --model a --model b,c --database sqlite:///x --anonymous --ray "
    words += "--trusted-proxy 192.0.2.7,10.0.0.0/8"
    assert main([*words.split(), "--config", str(tmp_path / "s.yaml")]) == 0
    assert started == [
        (
            "on ray",
            ServerSettings(
                host="0.0.0.0",
                port=9,
                data=Path("d"),
                models=("a", "b", "c"),
                database="sqlite:///x",
                anonymous=True,
                trusted_proxies=("192.0.2.7", "10.0.0.0/8"),
                drain_seconds=3.0,
            ),
        )
    ]


def test_a_wrong_setting_is_wrong_use(started: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.yaml").write_text("hots: x\n")
    assert main(["serve", "--config", str(tmp_path / "s.yaml")]) == 2
    assert "Unknown key 'hots'" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize(
    "option",
    [
        *(f"--port={value}" for value in ("-1", "65536", "nan", "8000.5", "http", "")),
        *(f"--{name}=" for name in ("host", "data", "model", "database", "config")),
        "--host= ", "--model=a,,b", "--model= ", "--config=missing.yaml", "--config=.", "--config=binary",
        "--anonymous=yes", "--hots=x", "more",
    ],
)  # fmt: skip
def test_what_makes_no_sense_starts_nothing(
    option: str, started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    assert main(["serve", option]) == 2
    assert capsys.readouterr().err.strip()
    assert started == []
    assert [path.name for path in tmp_path.iterdir()] == ["binary"]


@pytest.mark.slow
@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "sqlalchemy"])
def test_without_the_extra_it_is_named(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from sonant.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert re.search(f"pip install .*'{package}[<>=]", done.stderr)
    assert f"'{package}'" in done.stderr
    assert "Traceback" not in done.stderr
