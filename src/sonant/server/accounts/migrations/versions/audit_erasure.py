"""No e-mail addresses of deleted accounts in the audit log, and indexes to find those of an account and old entries."""

import sqlalchemy as sa
from alembic import op

revision = "audit_erasure"
down_revision = "confirmations"


def upgrade() -> None:
    op.create_index("ix_audit_created", "audit", ["created"])
    op.create_index("ix_audit_actor", "audit", ["actor"])
    names = ("id", "actor", "action", "target", "detail", "address")
    audit = sa.table("audit", *(sa.column(name, sa.BigInteger() if name == "id" else sa.String()) for name in names))
    connection = op.get_bind()
    deleted = sa.select(audit.c.id, audit.c.target).where(audit.c.action == "user deleted").order_by(audit.c.id)
    for entry in connection.execute(deleted).all():
        pseudonym, until = f"former user, deleted in entry {entry.id}", audit.c.id <= entry.id
        by, about = audit.c.actor == entry.target, audit.c.target == entry.target
        named = sa.or_(by, about & (audit.c.actor == "unknown"))
        connection.execute(sa.update(audit).where(until, named).values(address=""))
        keys = audit.c.action.in_(("key made", "key revoked"))
        connection.execute(sa.update(audit).where(until, by, keys).values(detail=""))
        connection.execute(sa.update(audit).where(until, about).values(target=pseudonym))
        connection.execute(sa.update(audit).where(until, by).values(actor=pseudonym))
