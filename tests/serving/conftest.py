from tests.servers import client, running, start

__all__ = ["client", "running", "start"]
