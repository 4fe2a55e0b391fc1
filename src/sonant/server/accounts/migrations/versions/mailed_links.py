"""One table of links that were sent by mail, for confirmations and for new passwords."""

import sqlalchemy as sa
from alembic import op

revision = "mailed_links"
down_revision = "audit_erasure"


def upgrade() -> None:
    op.create_table(
        "mailed_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_mailed_links_user_id", "mailed_links", ["user_id"])
    op.execute(
        "INSERT INTO mailed_links (digest, kind, user_id, expires) "
        "SELECT digest, 'confirmation', user_id, expires FROM confirmations"
    )
    op.drop_table("confirmations")
