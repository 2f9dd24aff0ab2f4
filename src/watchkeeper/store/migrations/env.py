"""Run by Alembic: migrates the connection that `ControlDatabase` hands it."""

from alembic import context

from watchkeeper.store.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
