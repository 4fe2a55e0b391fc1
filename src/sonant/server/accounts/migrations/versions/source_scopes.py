"""The scopes of enhancement and separation for keys that may use every other endpoint."""

from alembic import op

revision = "source_scopes"
down_revision = "classification_scope"

ALL = ("embeddings", "transcription", "verification", "diarization", "classification", "models")


def upgrade() -> None:
    has_all = " AND ".join(f"scopes LIKE '%{scope}%'" for scope in ALL)
    op.execute(f"UPDATE api_keys SET scopes = scopes || ',enhancement,separation' WHERE {has_all}")  # noqa: S608
