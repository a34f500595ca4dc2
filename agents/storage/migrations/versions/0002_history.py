"""The history projection: positions, points, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "position",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_position"),
    )
    _create_indicators()
    _create_alerts()


def _create_indicators() -> None:
    op.create_table(
        "indicator_latest",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_indicator_latest"),
    )
    op.create_index("ix_indicator_latest_service", "indicator_latest", ["service"])
    op.create_table(
        "indicator_points",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", "starts_at", name="pk_indicator_points"),
    )
    op.create_index("ix_indicator_points_starts_at", "indicator_points", ["starts_at"])


def _create_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_alert"),
    )
    op.create_index("ix_alert_at_fingerprint", "alert", ["at", "fingerprint"])
    op.create_table(
        "alert_transition",
        sa.Column("seq", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_alert_transition"),
        sa.UniqueConstraint("event_id", name="uq_alert_transition_event_id"),
    )
    for columns in (["fingerprint", "at"], ["service", "at"], ["at"]):
        op.create_index(f"ix_alert_transition_{'_'.join(columns)}", "alert_transition", columns)


def downgrade() -> None:
    for table in ("alert_transition", "alert", "indicator_points", "indicator_latest", "position"):
        op.drop_table(table)
