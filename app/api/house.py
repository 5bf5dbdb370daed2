"""What every route reads: settings, plan and dispatch of this deployment, and how to answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from anyio import to_thread
from fastapi import Request
from starlette.responses import Response

from app.api.problems import Problem
from app.dispatch import Dispatch
from app.settings import Limits, Settings
from compose.plan import Plan
from indexstore.errors import CollectionNotFoundError
from indexstore.ledger import Ledger
from indexstore.media import MediaStore

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class House:
    """One deployment as its API sees it; ``opened`` is None until the lifespan has begun."""

    config: Settings
    plan: Plan
    opened: Dispatch | None = None
    _media: MediaStore | None = None

    @property
    def limits(self) -> Limits:
        """Return what one request may ask for."""
        return self.config.limits

    @property
    def dispatch(self) -> Dispatch:
        """Return the way to the workers.

        Raises:
            Problem: 503 while the process starts or stops.
        """
        if self.opened is None:
            raise Problem("not_ready", "this process is starting or stopping")
        return self.opened

    @property
    def media(self) -> MediaStore:
        """Return where contents are kept; opened at the first use, for many flows have none."""
        if self._media is None:
            self._media = MediaStore(self.config.blob_url)
        return self._media

    def collection(self, name: str) -> str:
        """Return the name of the collection if this deployment serves it.

        Raises:
            CollectionNotFoundError: it serves another one.
        """
        if name != self.plan.collection:
            raise CollectionNotFoundError(name)
        return name

    async def ledger(
        self, call: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of the ledger in a thread, for it talks to a database."""
        return await to_thread.run_sync(partial(call, self.dispatch.ledger, *args, **kwargs))


def house_of(request: Request) -> House:
    """Return the deployment that this application serves."""
    house: House = request.app.state.house
    return house


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON; numpy rows and dataclasses are rendered as they are."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS),
        status_code=status,
        headers=dict(headers) if headers else None,
        media_type="application/json",
    )
