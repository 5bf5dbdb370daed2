"""Make the table of how many shards each index has, and shall have."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a flow that starts enters its indexes."""
    op.create_table(
        "layouts",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("index_name", sa.Text(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("declared", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "index_name"),
    )


def downgrade() -> None:
    """Go back to what the flow says."""
    op.drop_table("layouts")
