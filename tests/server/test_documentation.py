"""docs/serving.md tells what there is: its errors and limits are those of the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sonant.server
from sonant.server.accounts.keys import SCOPES
from sonant.server.metrics import Metrics
from sonant.server.routes.json_reader import MAX_DEPTH, TOKENS, TOKENS_OF_A_RECORDING
from sonant.server.settings import MIB, AccountRules, Limits, Queue, ServerSettings, read_settings
from sonant.server.text_limits import FIELDS, TEXT_BYTES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
SOURCE = Path(sonant.server.__file__).parent
FOR_PAGES = (
    "web",
    "accounts/users.py",
    "accounts/credentials.py",
    "accounts/mailed_links.py",
    "accounts/email_addresses.py",
    "accounts/sessions.py",
    "accounts/passwords.py",
    "accounts/keys.py",
    "accounts/credit.py",
)  # not the API


def codes() -> Iterator[tuple[str, str]]:
    """Every code that `ApiError(status, "code", ...)` is given in the source, with its file."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        if name.startswith(FOR_PAGES):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="ApiError"), args=[_, ast.Constant(value=code), *_]):
                    yield code, name


def test_every_error_of_the_api_is_in_the_table() -> None:
    found = dict(codes())
    assert len(found) > 25
    pages = {"not_signed_in", "csrf_failed", "cross_site_request", "model_load_failed", "too_many_attempts"}
    assert [f"{code} ({file})" for code, file in found.items() if code not in pages and f"`{code}`" not in PAGE] == []


def test_the_table_names_no_error_that_there_is_not() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    table = PAGE[PAGE.index("## Errors") : PAGE.index("## Limits")]
    listed = re.findall(r"`([a-z]+_[a-z_]+)`", "".join(re.findall(r"^\| \d{3} \|([^|]*)\|", table, re.MULTILINE)))
    by_the_framework = {"not_found", "method_not_allowed"}
    assert len(listed) > 25
    assert [code for code in listed if f'"{code}"' not in source and code not in by_the_framework] == []


def test_the_limits_are_the_defaults() -> None:
    limits, queue, rules = Limits(), Queue(), AccountRules()
    table = PAGE[PAGE.index("## Limits") : PAGE.index("## Accounts")]
    for words in (
        f"| {limits.body_bytes // MIB} MiB, cut off while it arrives; {limits.receive_seconds:.0f} s to arrive",
        f"{limits.audio_bytes // MIB} MiB encoded; {limits.audio_seconds / 60:.0f} minutes decoded",
        f"{limits.decoded_bytes // MIB} MiB on the way there; {limits.decode_seconds:.0f} s to decode",
        f"{limits.inputs} recordings, two hours of audio, {limits.response_bytes // MIB} MiB of vectors",
        f"no recording | {TEXT_BYTES:,} bytes, without control characters",
        f"line breaks; {FIELDS} fields |",
        f"{MAX_DEPTH} levels, {TOKENS + TOKENS_OF_A_RECORDING * limits.inputs:,} values",
        f"{limits.concurrent_requests} worked on, {limits.in_flight_bytes // MIB} MiB of bodies, decoded audio",
        f"does in {queue.wait_seconds:.0f} s",
        f"{rules.requests_per_minute} requests and {rules.audio_seconds_per_minute / 3600:.0f} hours of audio",
    ):
        assert words in table
    assert limits.request_seconds == 2 * 3600
    assert queue.window_seconds == 60


def test_the_metrics_are_those_that_there_are() -> None:
    there = {sample.name for metric in Metrics().registry.collect() for sample in metric.samples}
    there |= {f"{metric.name}" for metric in Metrics().registry.collect()}
    there |= {f"{metric.name}_total" for metric in Metrics().registry.collect() if metric.type == "counter"}
    listed = set(re.findall(r"`(sonant_[a-z_]+)`", PAGE))
    assert listed <= there
    assert {metric.name for metric in Metrics().registry.collect()} <= {name.removesuffix("_total") for name in listed}


def test_the_example_of_settings_is_understood(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "s.yaml").write_text(text)
    settings = read_settings(tmp_path / "s.yaml")
    assert (
        settings.price_of("microsoft/wavlm-large") != settings.price_of("sonant/wavlm-tiny") != ServerSettings().price
    )


def test_scopes_in_examples_exist() -> None:
    for scopes in re.findall(r"--scopes (\S+)", PAGE):
        assert set(scopes.split(",")) <= set(SCOPES)
