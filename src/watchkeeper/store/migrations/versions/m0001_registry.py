"""Model versions, their promotions, and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "model_versions",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("unsafe", sa.Boolean, nullable=False),
        sa.Column("trusted", sa.JSON, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("file_hash", sa.Text, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("signature", sa.JSON, nullable=True),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("registered_at", _time, nullable=False),
        sa.Column("promoted_at", _time, nullable=True),
        sa.Column("demoted_at", _time, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_model_versions"),
        sa.UniqueConstraint("model_id", name="uq_model_versions_model_id"),
        sa.UniqueConstraint("model_name", "version", name="uq_model_versions_model_name_version"),
    )
    in_production = sa.text("status = 'production'")
    op.create_index(
        "ix_one_production_a_model",
        "model_versions",
        ["model_name"],
        unique=True,
        sqlite_where=in_production,
        postgresql_where=in_production,
    )
    op.create_table(
        "promotions",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("former", _number, nullable=True),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
    )
    op.create_index("ix_promotions_model_name", "promotions", ["model_name"])
    op.create_table(
        "audit",
        sa.Column("id", _number, autoincrement=True, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
