"""What went wrong, and who has it in hand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "incidents",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.UniqueConstraint("name", name="uq_incidents_name"),
    )
    op.create_index("ix_incidents_model", "incidents", ["model"])
    op.create_index(
        "ix_one_active_incident_a_source",
        "incidents",
        ["model", "source"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
