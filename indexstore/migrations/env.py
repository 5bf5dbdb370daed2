"""Alembic's way in: run the revisions on the connection that ``migrate`` holds the lock with."""

from alembic import context

from indexstore.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
