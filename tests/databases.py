"""New control databases of tests: the migrations run once, and what they make is copied."""

from functools import cache

import sqlalchemy as sa

from watchkeeper.store import upgrade

run_migrations = upgrade.migrate


def migrate(connection: sa.Connection) -> None:
    """Make the tables of a new SQLite database; upgrade any other one."""
    is_new = not sa.inspect(connection).has_table("alembic_version")
    if not is_new or connection.dialect.name != "sqlite":
        run_migrations(connection)
        return
    for statement in _statements():
        connection.exec_driver_sql(statement)


@cache
def _statements() -> list[str]:
    """Return what makes a database as all migrations leave it."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        run_migrations(connection)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        statements: list[str] = list(driver.iterdump())[1:-1]  # without BEGIN and COMMIT
    engine.dispose()
    return statements
