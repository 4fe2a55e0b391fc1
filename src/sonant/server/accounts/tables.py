"""The tables of the database. They are created by the migrations; a test keeps both equal.

Times are integer unix seconds, days are "2026-11-21" (UTC), amounts are integers in billionths of the currency, so that
nothing depends on time zones or decimals of a database.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite has autoincrement in INTEGER columns only

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),  # normalized: see `email_addresses.normalized`
    Column("password_hash", String(255)),  # argon2; NULL: signs in with a key only
    Column("is_admin", Boolean, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("credit", BigInteger, nullable=False),  # without holds
    Column("created", BigInteger, nullable=False),
    CheckConstraint("credit >= 0", name="no_debts"),
    sqlite_autoincrement=True,  # ids are never reused, or cached facts about a deleted user would apply to a new one
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the token
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", ForeignKey("api_keys.id", ondelete="CASCADE"), index=True),  # key that opened it, if any
    Column("address", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the key
    Column("prefix", String(32), nullable=False),  # first characters, for display
    Column("scopes", String(200), nullable=False),  # comma-separated
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("last_used", BigInteger),
    Column("requests_per_minute", Integer),
    Column("audio_seconds_per_minute", Float),
    sqlite_autoincrement=True,
)

grants = Table(
    "grants",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("actor", String(254), nullable=False),
    Column("created", BigInteger, nullable=False),
)

free_credit = Table(  # mailboxes that have had it
    "free_credit",
    metadata,
    Column("mailbox", String(64), primary_key=True),  # a slow hash, see `Passwords.digest`
    Column("created", BigInteger, nullable=False),
)

PASSWORD_RESET = "password reset"  # noqa: S105 - a kind of links

mailed_links = Table(  # that were sent and are not used
    "mailed_links",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the token
    Column("kind", String(40), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires", BigInteger, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("process", String(120)),  # by which servers on the same machine detect its end
    Column("heartbeat", BigInteger, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("id", String(32), primary_key=True),  # of the bill
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("server_id", String(32), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    Column("id", String(32), primary_key=True),  # of the bill
    Column("request_id", String(128), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="SET NULL")),  # NULL: anonymous, or a deleted account
    Column("key_id", ForeignKey("api_keys.id", ondelete="SET NULL")),
    Column("created", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),
    Column("model", String(200), nullable=False),
    Column("endpoint", String(40), nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("audio_seconds", Float, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Index("usage_by_user_and_day", "user_id", "day"),
    Index("usage_by_key", "key_id"),
    Index("usage_by_day", "day"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("created", BigInteger, nullable=False, index=True),
    Column("actor", String(254), nullable=False, index=True),
    Column("action", String(60), nullable=False),
    Column("target", String(254), nullable=False, index=True),
    Column("detail", String(500), nullable=False),
    Column("address", String(64), nullable=False),
)

votes = Table(
    "votes",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Index("votes_by_model", "model"),
)

people = Table(
    "people",
    metadata,
    Column("number", NUMBER, primary_key=True),  # ascending
    Column("id", String(32), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("model", String(200), nullable=False),
    Column("fingerprint", String(100), nullable=False),  # of the model's speaker embeddings
    Column("name", String(100), nullable=False),
    UniqueConstraint("user_id", "model", "name"),
)

voice_recordings = Table(
    "voice_recordings",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("person", ForeignKey("people.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
    Column("speech_seconds", Float, nullable=False),
    Column("created", BigInteger, nullable=False),
)
