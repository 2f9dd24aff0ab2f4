"""Retrainings, and which times of their schedules were taken up."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "retraining_runs",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retraining_runs"),
        sa.UniqueConstraint("name", name="uq_retraining_runs_name"),
    )
    op.create_index("ix_retraining_runs_model", "retraining_runs", ["model"])
    op.create_index(
        "ix_one_active_retraining_a_model",
        "retraining_runs",
        ["model"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "retraining_fires",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("fire_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model", "fire_at", name="pk_retraining_fires"),
    )
