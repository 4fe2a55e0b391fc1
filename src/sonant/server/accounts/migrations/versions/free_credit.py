"""The mailboxes that have had free credit; and domains of e-mail addresses in ASCII."""

import idna
import sqlalchemy as sa
from alembic import op

revision = "free_credit"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "free_credit",
        sa.Column("mailbox", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox"),
    )
    users = sa.table("users", sa.column("id", sa.BigInteger()), sa.column("email", sa.String()))
    connection = op.get_bind()
    rows = connection.execute(sa.select(users)).all()
    known = {row.email for row in rows}
    for row in rows:
        local, _, domain = row.email.rpartition("@")
        if domain.isascii():
            continue
        try:
            email = f"{local}@{idna.encode(domain, uts46=True).decode()}"
        except idna.IDNAError:
            continue  # the account is found as it was
        if email not in known and len(email) <= 254:
            known.add(email)
            connection.execute(sa.update(users).where(users.c.id == row.id).values(email=email))
