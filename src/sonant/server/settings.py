"""Settings of the server, with defaults; a YAML file overrides them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from sonant.configuration import changed, read_yaml
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.decoder_options import DecoderOptions
from sonant.inference import Precision
from sonant.server.networks import TrustedProxies

MIB = 1 << 20
GRACE_SECONDS = 10.0  # from which on a body must have come at the least rate


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of a model, in the currency of the accounts; both are added.

    Attributes:
        per_million_tokens: price of a million tokens; a token is a frame of the model.
        per_audio_hour: price of an hour of audio.
    """

    per_million_tokens: Decimal = Decimal(0)
    per_audio_hour: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("per_million_tokens", "per_audio_hour"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"The price {name} is {getattr(self, name)}; expected 0 or more.")

    def cost(self, tokens: int, audio_seconds: float) -> Decimal:
        """Return the exact cost of tokens and seconds."""
        return self.per_million_tokens * tokens / 1_000_000 + self.per_audio_hour * Decimal(str(audio_seconds)) / 3600


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits on one request, and on all of them together.

    Attributes:
        body_bytes: of a whole request.
        audio_bytes: of one encoded recording.
        audio_seconds: of one recording, decoded.
        decoded_bytes: bytes that one recording may become while it is decoded, at its own rate and with all channels.
        request_seconds: of all recordings of one request.
        inputs: recordings in one request.
        response_bytes: of the vectors in one answer, as float32: every layer of every frame adds up; or of the samples
            of its recordings: every speaker adds up.
        in_flight_bytes: that all requests hold together: bodies, decoded recordings and vectors of answers. One
            account, and one client address, may fill three quarters of them; the more there are, the less each.
        concurrent_requests: requests to the API that are being received or worked on; shared in the same way.
        decode_seconds: wall time that decoding one recording may take, in its turns.
        receive_seconds: wall time that a body, or a recording that is fetched, may take to arrive.
        send_seconds: wall time in which a client must read an answer, and that again for each 4 MiB of vectors or
            samples.
        receive_bytes_per_second: the least rate at which either must arrive, after the first ten seconds.
    """

    body_bytes: int = 64 * MIB
    audio_bytes: int = 25 * MIB
    audio_seconds: float = 1800.0
    decoded_bytes: int = 512 * MIB
    request_seconds: float = 7200.0
    inputs: int = 256
    response_bytes: int = 256 * MIB
    in_flight_bytes: int = 1024 * MIB
    concurrent_requests: int = 512
    decode_seconds: float = 20.0
    receive_seconds: float = 60.0
    send_seconds: float = 60.0
    receive_bytes_per_second: float = 2048.0

    def __post_init__(self) -> None:
        _require(self, positive=tuple(entry.name for entry in fields(self)))

    def seconds_to_receive(self, num_bytes: int) -> float:
        """Return the time in which more than so many bytes of a body must have arrived."""
        return min(self.receive_seconds, GRACE_SECONDS + num_bytes / self.receive_bytes_per_second)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The settings of the queue before each model.

    Attributes:
        seconds: of audio that may wait; None: as much as the model does in `wait_seconds`, measured as it runs. An
            account may fill three times as much of it as it leaves free, unless a single request of it is longer.
        wait_seconds: that a request may have to wait for its turn.
        batch_seconds: of audio in one forward pass; None: what suits the device.
        window_seconds: longer recordings are cut, so that others get their turn in between.
    """

    seconds: float | None = None
    wait_seconds: float = 20.0
    batch_seconds: float | None = None
    window_seconds: float = 60.0

    def __post_init__(self) -> None:
        _require(self, positive=tuple(entry.name for entry in fields(self)))


@dataclass(frozen=True, kw_only=True)
class AccountRules:
    """The rules for new accounts, and the rates of every account.

    Attributes:
        sign_up: whether visitors may create accounts.
        free_credit: of a new account.
        more_credit: the operator's words on how to get more, such as an address to write to; users read them on the
            account page, and in the error of a request that their credit does not cover.
        currency: the name of the unit, for people.
        requests_per_minute: of an account, with all of its keys. A key may have a lower rate of its own.
        audio_seconds_per_minute: of an account, with all of its keys. A key may have a lower rate of its own.
        enrolled_recordings: of the voices of people, that an account may keep.
        session_days: days until a user must sign in again.
        secure_cookies: None: if the page came by https.
        audit_days: days for which entries of the audit log are kept.
    """

    sign_up: bool = True
    free_credit: Decimal = Decimal(5)
    more_credit: str = ""
    currency: str = "USD"
    requests_per_minute: int = 600
    audio_seconds_per_minute: float = 36_000.0
    enrolled_recordings: int = 1000
    session_days: float = 30.0
    secure_cookies: bool | None = None
    audit_days: float = 365.0

    def __post_init__(self) -> None:
        counts = ("requests_per_minute", "audio_seconds_per_minute", "enrolled_recordings")
        _require(self, positive=(*counts, "session_days", "audit_days"))
        if self.free_credit < 0:
            raise ConfigurationError(f"free_credit is {self.free_credit}; expected 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """The server of outgoing mail (SMTP), for links that confirm addresses of new accounts, and to new passwords.

    Attributes:
        host: None: no mail is sent, no address confirmed, and new passwords are set by administrators.
        port: of the host.
        security: how the connection is encrypted: "tls" from its beginning, or "starttls".
        user: for the host; the password is in the environment variable SONANT_MAIL_PASSWORD.
        sender: the address that messages come from.
        site: the address of this server for people, such as https://speech.example.org, which links begin with.
    """

    host: str | None = None
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    sender: str | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        if self.host is not None and (self.sender is None or self.site is None):
            raise ConfigurationError("mail has a host, and lacks sender or site; expected all three.")
        if self.site is not None and not self.site.startswith(("https://", "http://")):
            raise ConfigurationError(f"mail.site is {self.site!r}; expected an address such as https://example.org.")


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """The copies of each model on Ray Serve.

    Attributes:
        minimum, maximum: how many there are.
        requests: that each should have at a time; with more there will be more replicas, with fewer fewer.
        cpus, gpus: that each takes; parts of one are possible. Without `cpus`: one, or less on a machine that has too
            few for all models.
        host: address of this machine under which further ones may join the cluster that is started here, whose
            processes then listen on all addresses; None: on 127.0.0.1 alone.
    """

    minimum: int = 1
    maximum: int = 4
    requests: float = 8.0
    cpus: float | None = None
    gpus: float = 0.0
    host: str | None = None

    def __post_init__(self) -> None:
        _require(self, positive=("minimum", "requests", "cpus"))
        if self.maximum < self.minimum:
            raise ConfigurationError(f"At most {self.maximum} replicas and at least {self.minimum}: that cannot be.")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A server.

    Attributes:
        host, port: where it listens.
        data: folder for the database, the first admin key and nothing else.
        models: what is loaded at the start: shipped, a hub id, a folder or a file.
        coming_soon: models of the catalog that the operator promises to load; their pages say so.
        database: SQLAlchemy's address of it; None: SQLite in `data`.
        anonymous: whether requests without a key are served, uncharged.
        devices: where models compute; empty: a GPU if there is one.
        precision: of the arithmetic; None: that of the weights.
        decode_workers: recordings decoded at a time, each in a process; None: by the number of cores. Up to six more
            processes keep long recordings between their turns.
        fetch_hosts: hosts from which addresses in requests are fetched ("audio.example.org", "*.example.org"); none by
            default.
        cors_origins: origins (https://app.example.org, or * for all) whose pages may call the API from a browser, with
            an API key; none by default.
        drain_seconds: that running requests have to finish after SIGTERM.
        trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed: web servers in
            front. Empty: of none.
        open_metrics: whether anybody may read /metrics; else this machine itself and keys with the scope "admin".
        log_format: "json" for machines, "text" for people.
        limits, queue, accounts, mail, replicas: see there.
        price: of models that `prices` does not name.
        prices: by the model's id.
        voice_calibrations: files that `sonant voices calibrate --output` has written; they take the place of the
            calibrations that the models have.
        aliases: further names for models in requests, such as whisper-1: my-recognizer.
        decoder: of models that write transcripts and that `decoders` does not name: language model, lexicon, hot words
            and numbers of a beam search. Without any, decoding is greedy, except for `keywords` and `n_best`.
        decoders: by the model's id.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    data: Path = Path("sonant-data")
    models: tuple[str, ...] = ("sonant/wavlm-tiny",)
    coming_soon: tuple[str, ...] = ()
    database: str | None = None
    anonymous: bool = False
    devices: tuple[str, ...] = ()
    precision: Precision | None = None
    decode_workers: int | None = None
    fetch_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    drain_seconds: float = 30.0
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    open_metrics: bool = False
    log_format: Literal["json", "text"] = "text"
    limits: Limits = field(default_factory=Limits)
    queue: Queue = field(default_factory=Queue)
    accounts: AccountRules = field(default_factory=AccountRules)
    mail: Mail = field(default_factory=Mail)
    replicas: Replicas = field(default_factory=Replicas)
    price: Price = field(default_factory=lambda: Price(per_audio_hour=Decimal("0.01")))
    prices: Mapping[str, Price] = field(default_factory=lambda: MappingProxyType({}))
    voice_calibrations: tuple[Path, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    decoder: DecoderOptions = field(default_factory=DecoderOptions)
    decoders: Mapping[str, DecoderOptions] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _require(self, positive=("drain_seconds", "decode_workers"))
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"The port {self.port} does not exist; expected 1 to 65535, or 0: any.")
        if not self.models or not all(map(str.strip, self.models)):
            raise ConfigurationError(
                f"No model was named: models={list(self.models)}; expected at least one, such as sonant/wavlm-tiny."
            )
        for name in self.coming_soon:
            from sonant.models.catalog import find  # imports torch, which commands for accounts do without

            try:
                find(name)
            except UnknownName as error:
                raise ConfigurationError(f"coming_soon names {name!r}, which is not in the catalog. {error}") from error
        if not self.host.strip():
            raise ConfigurationError("The host is empty; expected an address of this machine, or 0.0.0.0 for all.")
        for origin in self.cors_origins:
            if not re.fullmatch(r"\*|https?://[^/\s*]+", origin):
                raise ConfigurationError(
                    f"cors_origins names {origin!r}; expected scheme and host, such as https://app.example.org, or *."
                )
        TrustedProxies(self.trusted_proxies)  # raises

    @property
    def database_url(self) -> str:
        """SQLAlchemy's address of the database."""
        return self.database or f"sqlite:///{(self.data / 'sonant.db').resolve()}"

    @property
    def num_decode_workers(self) -> int:
        return self.decode_workers or max(1, min(8, (os.cpu_count() or 1) // 2))

    def decoder_of(self, model: str) -> DecoderOptions:
        return self.decoders.get(model, self.decoder)

    def price_of(self, model: str) -> Price:
        return self.prices.get(model, self.price)


def read_settings(path: Path | None = None, **given: Any) -> ServerSettings:
    """The settings of a YAML file; what is given here besides wins, unless it is None.

    Raises:
        ConfigurationError: an unknown key (the known ones are listed), or a value that does not fit.
    """
    settings = ServerSettings()
    if path is not None:
        changes = read_yaml(path)
        try:
            settings = changed(settings, changes)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _require(config: Any, *, positive: tuple[str, ...]) -> None:
    for name in positive:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ConfigurationError(f"{name} is {value}; expected more than 0.")
