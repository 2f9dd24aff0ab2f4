import asyncio
import logging

import pytest

from watchkeeper.background import Worker, deaths, run_task


def fail() -> None:
    raise OSError(28, "No space left on device")


async def fail_later() -> None:
    await asyncio.sleep(0)
    fail()


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def test_given_a_thread_when_an_error_ends_it_then_it_is_logged_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dying, ending = Worker(name="dying", target=fail), Worker(name="ending", target=lambda: None)
    for worker in (dying, ending):
        worker.start()
        worker.join(30)

    found = deaths([dying, ending])

    assert list(found) == ["dying"]
    assert "dying has died: OSError: [Errno 28] No space left" in found["dying"]
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.exc_info


def test_given_tasks_when_an_error_ends_one_then_it_alone_is_logged_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> dict[str, str]:
        tasks = [
            run_task(fail_later(), "dying"),
            run_task(wait_for_ever(), "running"),
            run_task(wait_for_ever(), "cancelled"),
        ]
        tasks[2].cancel()
        await asyncio.wait([tasks[0], tasks[2]], timeout=30)
        found = deaths(tasks)
        tasks[1].cancel()
        return found

    found = asyncio.run(run())

    assert list(found) == ["dying"]
    assert "No space left" in found["dying"]
    assert [record.getMessage() for record in caplog.records] == [
        "the background task dying has died"
    ]
