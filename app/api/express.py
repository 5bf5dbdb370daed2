"""The short way of a search: between the server and a route FastAPI puts more than a search costs.

A layer of plain ASGI, within the key check and the size limit, that knows one path by heart. What
is said of the route in the documentation is said beside ``search``; both run the same function.
"""

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import tracing
from app.api.problems import Problem, of_dispatch, of_store, respond
from app.api.search import router, search
from app.dispatch.errors import DispatchError
from indexstore.errors import IndexStoreError

_ROUTE = Route(f"{router.prefix}/search", search)  # what metrics read; it is never matched


class Express:
    """Serves ``POST .../search`` of this deployment's collection; passes all else on."""

    def __init__(self, app: ASGIApp, *, collection: str) -> None:
        self.app, self.collection = app, collection
        self._path = f"{router.prefix}/search".replace("{collection}", collection)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        tracing.name_request("POST", _ROUTE.path)
        try:
            response = await search(Request(scope, receive), self.collection)
        except Problem as problem:
            response = respond(problem, scope)
        except DispatchError as error:
            response = respond(of_dispatch(error), scope)
        except IndexStoreError as error:
            response = respond(of_store(error), scope)
        await response(scope, receive, send)
