"""The migrations make the tables that the code speaks of, whatever was there before."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from sonant.errors import ConfigurationError
from sonant.server.accounts.engines import known_url, make_file, postgresql, sqlite
from sonant.server.accounts.migrations import upgrade
from sonant.server.accounts.tables import metadata


@pytest.fixture
def engine(settings):
    """As the server opens it, on an empty database."""
    url = known_url(settings.database_url)
    if settings.database is None:
        settings.data.mkdir()
        make_file(settings.data / "sonant.db")
    engine = sqlite(url) if settings.database is None else postgresql(url)
    yield engine
    engine.dispose()


def test_the_migrated_tables_are_those_of_the_code(engine):
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_sqlite_gets_them_to_the_letter(tmp_path):
    """Constraints too, which the comparison above does not see."""
    made = {}
    for name, make in (("migrated", upgrade), ("meant", metadata.create_all)):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        make(engine)
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            made[name] = {row.name: _parts(row.sql) for row in rows if not row.name.startswith("alembic")}
        engine.dispose()
    assert made["migrated"] == made["meant"]
    assert made["meant"]


def _parts(statement: str) -> list[str]:
    """The lines of a statement; the order of a table's columns and constraints means nothing."""
    return sorted(line.strip().rstrip(",") for line in statement.splitlines())


def test_a_second_upgrade_changes_nothing(engine):
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO votes SELECT 1, 'x', 1 WHERE false"))
        connection.execute(text("INSERT INTO servers VALUES ('a', NULL, 1)"))
    upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM servers")).scalar() == 1


def test_domains_of_earlier_accounts_become_ascii_where_that_is_free(engine):
    upgrade(engine, to="0001")
    emails = (
        "ada@bücher.de",
        "bob@bücher.de",
        "bob@xn--bcher-kva.de",
        "eve@example.org",
        "odd@-ü-.de",
        "admin@localhost",
    )
    with engine.begin() as connection:
        for email in emails:
            values = {"email": email}
            connection.execute(
                text(
                    "INSERT INTO users (email, is_admin, is_disabled, credit, created) "
                    "VALUES (:email, false, false, 0, 0)"
                ),
                values,
            )
    upgrade(engine)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT email FROM users ORDER BY id")).scalars().all()
    assert kept == ["ada@xn--bcher-kva.de", *emails[1:]]


def test_accounts_deleted_by_earlier_versions_leave_the_audit_log(engine):
    upgrade(engine, to="confirmations")
    entries = (
        ("ada@example.org", "user made", "ada@example.org"),
        ("bob@example.org", "user deleted", "ada@example.org"),
        ("ada@example.org", "user made", "ada@example.org"),  # a new account of the same address
    )
    with engine.begin() as connection:
        for actor, action, target in entries:
            connection.execute(
                text(
                    "INSERT INTO audit (created, actor, action, target, detail, address) "
                    "VALUES (0, :actor, :action, :target, '', '192.0.2.1')"
                ),
                {"actor": actor, "action": action, "target": target},
            )
    upgrade(engine)
    with engine.connect() as connection:
        kept = [tuple(row) for row in connection.execute(text("SELECT actor, target, address FROM audit ORDER BY id"))]
    former = "former user, deleted in entry 2"
    assert kept == [
        (former, former, ""),
        ("bob@example.org", former, "192.0.2.1"),
        ("ada@example.org", "ada@example.org", "192.0.2.1"),
    ]


def test_links_that_were_sent_still_work(engine):
    upgrade(engine, to="audit_erasure")
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO users (email, is_admin, is_disabled, credit, created) VALUES ('a@b.c', false, false, 0, 0)",
            "INSERT INTO confirmations SELECT 'digest', id, 7 FROM users",
        ):
            connection.execute(text(statement))
    upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT digest, kind, expires FROM mailed_links"))
        assert [tuple(row) for row in rows] == [("digest", "confirmation", 7)]


ALL = "embeddings,transcription,verification,diarization,classification,models"


@pytest.mark.parametrize(
    ("version", "scopes", "added"),
    [
        ("mailed_links", ("embeddings,verification,models", "embeddings,models"), ("classification", "")),
        (
            "classification_scope",
            (ALL, f"{ALL},admin", ALL.replace("diarization,", "")),
            ("enhancement,separation", "enhancement,separation", ""),
        ),
    ],
)
def test_keys_get_the_scope_of_what_they_could_do_already(engine, version, scopes, added):
    """Classification is of those that could analyze voices; enhancement and separation of those for everything."""
    upgrade(engine, to=version)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (email, is_admin, is_disabled, credit, created) VALUES ('a@b.c', false, false, 0, 0)"
            )
        )
        for each in scopes:
            connection.execute(
                text(
                    "INSERT INTO api_keys (user_id, name, digest, prefix, scopes, created) "
                    "SELECT id, 'key', :scopes, 'sk', :scopes, 0 FROM users"
                ),
                {"scopes": each},
            )
    upgrade(engine)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT scopes FROM api_keys ORDER BY id")).scalars().all()
    assert kept == [",".join(filter(None, both)) for both in zip(scopes, added, strict=True)]


def test_servers_that_start_at_once_do_not_disturb_each_other(engine):
    failures = []

    def start() -> None:
        try:
            upgrade(engine)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(metadata.tables) < set(inspect(engine).get_table_names())


def test_a_database_of_a_newer_version_is_refused(engine):
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer sonant"):
        upgrade(engine)


def test_an_upgrade_that_fails_leaves_nothing_half_done(engine, monkeypatch):
    """All steps are one transaction."""
    from alembic.operations import Operations

    real, calls = Operations.create_table, []

    def fails_at_the_third(self, name, *columns, **how):
        calls.append(name)
        if len(calls) == 3:
            raise RuntimeError("the disk is full")
        return real(self, name, *columns, **how)

    monkeypatch.setattr(Operations, "create_table", fails_at_the_third)
    with pytest.raises(RuntimeError):
        upgrade(engine)
    assert inspect(engine).get_table_names() == []
