"""What is in deploy/ says what the server understands, as far as that shows without installing anything."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import yaml

from sonant.cli import find_function
from sonant.cli.command_line import build_parser
from sonant.server.settings import ServerSettings, read_settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def options(words: list[str]) -> dict[str, object]:
    """What `sonant serve` makes of these words; leaves with an error where it does not know them."""
    given, left = build_parser(find_function("serve"), "serve", below={}).parse_known_intermixed_args(words)
    assert not left
    return vars(given)


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_settings_as_they_stand_change_nothing() -> None:
    assert read_settings(DEPLOY / "sonant.yaml") == ServerSettings()


def test_the_settings_without_their_marks_are_the_defaults(tmp_path: Path) -> None:
    text = (DEPLOY / "sonant.yaml").read_text()
    (tmp_path / "all.yaml").write_text(re.sub(r"^#(?=[a-z]|  [a-z])", "", text, flags=re.MULTILINE))
    assert read_settings(tmp_path / "all.yaml") == ServerSettings()
    shown = yaml.safe_load((tmp_path / "all.yaml").read_text())
    for group, known in (("", ServerSettings()), *((name, getattr(ServerSettings(), name)) for name in shown)):
        if is_dataclass(known):
            listed = shown[group] if group else {**shown, "prices": None}
            assert sorted(listed) == sorted(vars(known)), f"{group or 'the top'} does not list every setting"


def test_the_example_of_prices_is_understood(tmp_path: Path) -> None:
    text = (DEPLOY / "sonant.yaml").read_text()
    (tmp_path / "prices.yaml").write_text(re.sub(r"^# (?=prices:|  \w)", "", text, flags=re.MULTILINE))
    (price,) = read_settings(tmp_path / "prices.yaml").prices.values()
    assert str(price.per_audio_hour) == "0.05"


def test_the_unit_starts_what_there_is_and_lets_it_finish() -> None:
    unit = (DEPLOY / "sonant.service").read_text()
    words = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1])
    assert words[1] == "serve"
    options(words[2:])
    assert float(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]) > ServerSettings().drain_seconds


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "sonant.service").read_text().replace("/opt/sonant/bin/sonant", sys.executable)
    (tmp_path / "sonant.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "sonant.service")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "sonant.service" not in done.stdout + done.stderr, done.stderr


def test_the_image_starts_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    words = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
    assert words[:2] == ["sonant", "serve"]
    assert str(options(words[2:])["data"]) == re.search(r"^VOLUME (.*)$", text, re.MULTILINE)[1]
    for path in re.search(r"^COPY (.*) \./$", text, re.MULTILINE)[1].split():
        assert (ROOT / path).is_file()
        assert f"!{path}\n" in (DEPLOY / "Dockerfile.dockerignore").read_text()
    (check,) = re.findall(r"^HEALTHCHECK .*CMD (.*)$", text, re.MULTILINE)
    compile(json.loads(check)[2], "HEALTHCHECK", "exec")


def test_the_composition_holds_together() -> None:
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    server, database = composed["services"]["sonant"], composed["services"]["database"]
    given = options(server["command"])
    assert given["database"] == "postgresql+psycopg://sonant@database/sonant"
    assert database["environment"]["POSTGRES_USER"] == database["environment"]["POSTGRES_DB"] == "sonant"
    assert server["environment"]["PGPASSWORD"] == database["environment"]["POSTGRES_PASSWORD"]
    assert seconds(server["stop_grace_period"]) > ServerSettings().drain_seconds
    assert (ROOT / "deploy" / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in server["volumes"]}
    assert (DEPLOY / mounted[str(given["config"])]).is_file()
    (network,) = composed["networks"]["default"]["ipam"]["config"]
    assert given["trusted_proxy"] == [network["gateway"]]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"]), (
        "or strangers would come from the gateway too"
    )
    for service in (server, database):
        named = {volume.split(":")[0] for volume in service["volumes"]} - {"./sonant.yaml"}
        assert named <= composed["volumes"].keys()
