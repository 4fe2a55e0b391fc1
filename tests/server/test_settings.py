"""What a YAML file and the command line say becomes settings, and mistakes are named."""

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from sonant.errors import ConfigurationError
from sonant.server.settings import Price, ServerSettings, read_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "sonant.yaml"
    path.write_text(text)
    return path


def test_nothing_given_is_the_default() -> None:
    assert read_settings() == ServerSettings()
    assert read_settings(None, host=None, models=None) == ServerSettings()


def test_a_file_is_read_and_the_command_line_wins(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        host: 0.0.0.0
        port: 9000
        models: [sonant/wavlm-tiny, org/other]
        limits:
          body_bytes: 1000
          decode_seconds: 2
        accounts: {free_credit: "2.50"}
        price: {per_audio_hour: 0.02}
        prices:
          org/other: {per_million_tokens: "0.000001"}
        aliases: {whisper-1: org/other}
        queue:
        """,
    )
    settings = read_settings(path, port=9001)
    assert (settings.host, settings.port) == ("0.0.0.0", 9001)
    assert settings.models == ("sonant/wavlm-tiny", "org/other")
    assert (settings.limits.body_bytes, settings.limits.decode_seconds) == (1000, 2.0)
    assert settings.aliases == {"whisper-1": "org/other"}
    assert settings.limits.inputs == ServerSettings().limits.inputs
    assert settings.accounts.free_credit == Decimal("2.50")
    assert settings.price_of("sonant/wavlm-tiny") == Price(per_audio_hour=Decimal("0.02"))
    assert settings.price_of("org/other").cost(3, 60.0) == Decimal("0.000000000003")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hots: x", ["hots", "host", "limits", "prices"]),
        ("limits: {body: 3}", ["limits.body", "body_bytes"]),
        ("limits: {body_bytes: -3}", ["body_bytes is -3"]),
        ("limits: {decode_seconds: .nan}", ["decode_seconds is nan"]),
        ("port: 70000", ["70000", "65535"]),
        ("models: []", ["No model"]),
        ("models: ['']", ["No model"]),
        ("coming_soon: [wavlm-huge]", ["coming_soon", "wavlm-huge", "wavlm-large"]),
        ("cors_origins: [app.example.org]", ["app.example.org", "https://"]),
        ("cors_origins: ['https://app.example.org/']", ["https://app.example.org/'"]),
        ("host: ' '", ["host is empty"]),
        ("accounts: {free_credit: -3}", ["free_credit is -3", "0 or more"]),
        ("models: org/one", ["a list of text"]),
        ("price: {per_audio_hour: -1}", ["per_audio_hour", "0 or more"]),
        ("price: {per_audio_hour: .nan}", ["per_audio_hour"]),
        ("prices: {org/x: 1}", ["prices.org/x.per_million_tokens"]),
        ("log_format: xml", ["log_format", "json"]),
        ("drain_seconds: 0", ["drain_seconds"]),
        ("mail: {host: smtp.example.org}", ["sender", "site"]),
        ("mail: {site: example.org}", ["mail.site is 'example.org'", "https://"]),
        ("trusted_proxies: [proxy.example.org]", ["trusted_proxies", "proxy.example.org"]),
    ],
)
def test_mistakes_are_named_with_the_file(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_settings(written(tmp_path, text))
    assert [word for word in [*words, "sonant.yaml"] if word not in str(error.value)] == []


def test_every_setting_is_described() -> None:
    """By its own group: the docstring lists the names, as the page on serving relies on."""
    for group in (
        ServerSettings(),
        *(getattr(ServerSettings(), name) for name in ("limits", "queue", "accounts", "replicas")),
    ):
        for entry in fields(group):
            assert entry.name in (type(group).__doc__ or ""), f"{type(group).__name__}.{entry.name} has no words"
