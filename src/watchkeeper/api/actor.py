"""Who sends a request that changes something, as the audit trail names them."""

from typing import Annotated

from fastapi import Depends, Request

from watchkeeper.access import Access, key_in

__all__ = ["Actor", "actor_of"]


def actor_of(request: Request) -> str:
    """Return the actor of a request, by the key that it carries.

    Parameters
    ----------
    request : Request

    Returns
    -------
    str
    """
    access: Access = request.app.state.access
    return access.actor_of(key_in(request.headers.get("authorization", "")))


Actor = Annotated[str, Depends(actor_of)]
"""The parameter of an endpoint that changes something."""
