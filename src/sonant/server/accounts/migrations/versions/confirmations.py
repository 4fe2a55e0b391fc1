"""Links that confirm e-mail addresses."""

import sqlalchemy as sa
from alembic import op

revision = "confirmations"
down_revision = "enrolled_voices"


def upgrade() -> None:
    op.create_table(
        "confirmations",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_confirmations_user_id", "confirmations", ["user_id"])
