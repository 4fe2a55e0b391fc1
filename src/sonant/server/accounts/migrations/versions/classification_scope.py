"""The scope of classification for keys of voices, which get the same scores from /v1/voice/analyze."""

from alembic import op

revision = "classification_scope"
down_revision = "mailed_links"


def upgrade() -> None:
    op.execute("UPDATE api_keys SET scopes = scopes || ',classification' WHERE scopes LIKE '%verification%'")
