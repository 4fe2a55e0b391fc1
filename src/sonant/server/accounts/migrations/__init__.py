"""The history of the tables: each step is a file in `versions/`; every start takes those that are missing."""

from pathlib import Path
from threading import Lock

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, text

from sonant.errors import ConfigurationError

HERE = Path(__file__).parent
LOCK = 0x736F6E616E74  # "sonant": PostgreSQL's number of the lock that servers which start at once wait for
ALEMBIC = Lock()  # its state belongs to the process, not to a thread


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring a database, which may be empty, to a version of the tables, in one transaction.

    Raises ConfigurationError: the database was made by a newer sonant.
    """
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)

    def steps(current: str | tuple[str, ...], _: MigrationContext) -> list[object]:
        return scripts._upgrade_revs(to, current)  # type: ignore[arg-type, return-value]  # noqa: SLF001

    environment = EnvironmentContext(config, scripts, fn=steps)
    with ALEMBIC, environment, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        environment.configure(connection=connection, target_metadata=None)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise ConfigurationError(
                f"The tables of this database are of a version that this sonant does not know ({error}). A newer "
                "sonant has used it: update this one, or name another database."
            ) from error
