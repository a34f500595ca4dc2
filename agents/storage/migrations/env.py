"""How Alembic runs a migration: on the connection and in the transaction that `database.open_database` holds.

There is no alembic.ini and no offline mode: a role brings the tables up to date when it starts. To write a new
migration, copy the latest file in `versions/`.
"""

from alembic import context


def _run() -> None:
    connection = context.config.attributes["connection"]
    # SQLite can change tables inside a transaction, whatever Alembic's default says.
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


_run()
