"""Which audit entries are evidence of readiness: their actions and their subjects."""

__all__ = [
    "ALERTS",
    "ALERT_TEST",
    "BACKUP",
    "BACKUPS",
    "BACKUP_CHECK",
    "LOAD_TEST",
    "NOTIFICATIONS",
    "NOTIFICATION_TEST",
    "REHEARSAL",
    "RESTORE_TEST",
    "WAIVER",
    "load_test_of",
    "rehearsal_of",
    "waiver_of",
]

ALERT_TEST, ALERTS = "alert test", "system:alerts"
BACKUP, BACKUP_CHECK, RESTORE_TEST = "backup", "backup check", "restore test"
BACKUPS = "system:backup"
LOAD_TEST = "load test"
NOTIFICATION_TEST, NOTIFICATIONS = "notification test", "system:notifications"
REHEARSAL = "rollback rehearsal"
WAIVER = "waive readiness"


def load_test_of(model: str) -> str:
    """Return the subject of the load tests of a model.

    Parameters
    ----------
    model : str

    Returns
    -------
    str
    """
    return f"{model}:loadtest"


def rehearsal_of(model: str) -> str:
    """Return the subject of the rehearsed rollbacks of a model.

    Parameters
    ----------
    model : str

    Returns
    -------
    str
    """
    return f"{model}:rollback"


def waiver_of(model: str, item: str) -> str:
    """Return the subject of the waivers of one point of a model.

    Parameters
    ----------
    model, item : str

    Returns
    -------
    str
    """
    return f"{model}:readiness/{item}"
