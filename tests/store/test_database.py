import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.databases import migrate, run_migrations

from watchkeeper.errors import ConflictError, UnavailableError
from watchkeeper.store import ControlDatabase, upgrade
from watchkeeper.store.database import HEAD, metadata


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'control.db'}"


@pytest.fixture(autouse=True)
def migrations_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "migrate", run_migrations)


def test_given_a_new_database_when_opened_then_migrations_give_what_the_code_expects(
    tmp_path: Path,
) -> None:
    database = ControlDatabase(url(tmp_path))
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        journal = connection.execute(sa.text("PRAGMA journal_mode")).scalar()
    database.close()

    assert differences == []
    assert journal == "wal"
    assert database.version() == HEAD
    database.close()


def test_given_a_newer_database_when_opened_then_it_is_refused(tmp_path: Path) -> None:
    database = ControlDatabase(url(tmp_path))
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()

    with pytest.raises(ConflictError) as refused:
        ControlDatabase(url(tmp_path))
    assert "is at migration 9999" in str(refused.value)
    assert f"knows the migrations 0001 to {HEAD}" in str(refused.value)
    assert "or a newer one" in str(refused.value)
    assert "before-9999" not in str(refused.value)

    (tmp_path / "control.db.before-9999").touch()
    with pytest.raises(ConflictError, match=r"control\.db\.before-9999 has it as it was"):
        ControlDatabase(url(tmp_path))


def test_given_the_migrations_when_listed_then_the_newest_is_the_head() -> None:
    assert upgrade.revisions()[0] == "0001"
    assert upgrade.revisions()[-1] == HEAD


def test_given_no_folder_when_opened_then_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises((UnavailableError, OSError)):
        ControlDatabase(url(tmp_path / "none"))


OPENS = """
import sys
from watchkeeper.store import ControlDatabase

database = ControlDatabase(sys.argv[1])
print(database.version())
database.close()
"""


def test_given_many_processes_when_they_open_it_first_then_it_is_migrated_once(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", OPENS, url(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    assert [each.communicate()[0].strip() for each in running] == [HEAD] * 6


def test_given_a_copy_of_what_the_migrations_made_when_opened_then_it_has_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tables(name: str) -> list[object]:
        database = ControlDatabase(f"sqlite:///{tmp_path / name}")
        with database.read() as connection:
            rows = connection.execute(sa.text("SELECT type, name, sql FROM sqlite_master"))
            entries = sorted(tuple(row) for row in rows if row.sql is not None)
        assert database.version() == HEAD
        database.close()
        return list(entries)

    migrated = tables("migrated.db")
    monkeypatch.setattr(upgrade, "migrate", migrate)

    assert tables("copied.db") == migrated
