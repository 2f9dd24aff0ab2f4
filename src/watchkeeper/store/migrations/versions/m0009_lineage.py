"""Where versions come from, and names that move between them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column(
        "model_versions", sa.Column("lineage", sa.JSON, nullable=False, server_default="{}")
    )
    op.create_table(
        "aliases",
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("model_name", "alias", name="pk_aliases"),
    )
