"""Pages for people: search, the interactive documentation, what each problem means; no CDN."""

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.api.house import answer, house_of
from app.api.problems import Problem, kinds
from app.api.version import VERSION
from compose.plan import MEDIA
from compose.planning import modalities_of

STATIC = Path(__file__).resolve().parent.parent / "static"
TEMPLATES = Path(__file__).resolve().parent / "templates"
router = APIRouter(include_in_schema=False)

#: Pages load from here alone; Swagger UI writes styles and data images inline, and a file that is
#: looked for is shown before it is sent.
_POLICY = {
    "content-security-policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "referrer-policy": "no-referrer",
}
_STYLE = '<link rel="stylesheet" href="/static/{}">'


@router.get("/")
async def search_page(request: Request) -> Response:
    """Show a page to search with."""
    plan = house_of(request).plan
    taken = modalities_of(plan)
    media = [kind for kind in taken if kind in MEDIA]
    has_words = not media or len(media) < len(taken)
    files = _template("files").substitute(accept=",".join(f"{kind}/*" for kind in media))
    return page(
        "search",
        f"Search {plan.collection}",
        style="search/search.css",
        parts={"files": files if media else "", "words": "" if has_words else "hidden"},
        collection=plan.collection,
        takes=" ".join(media),
    )


@router.get("/docs")
async def swagger() -> Response:
    """Show every route, to read and to try."""
    return page("docs", "GNES API", style="swagger/swagger-ui.css")


@router.get("/problems/{code}")
async def problem(request: Request, code: str) -> Response:
    """Explain a problem's code: this is where a problem's ``type`` points."""
    kind = kinds().get(code)
    if kind is None:
        raise Problem("route_not_found", f"there is no problem with the code {code!r}")
    if "text/html" in request.headers.get("accept", ""):
        return page(
            "problem",
            kind.title,
            style="search/search.css",
            code=code,
            status=str(kind.status),
            remedy=kind.remedy,
        )
    return answer({"code": code, "status": kind.status, "title": kind.title, "remedy": kind.remedy})


def page(
    template: str, title: str, *, style: str, parts: Mapping[str, str] | None = None, **values: str
) -> HTMLResponse:
    """Return a page that loads nothing from elsewhere; values are escaped, ``parts`` are HTML."""
    safe = {name: escape(text) for name, text in values.items()} | dict(parts or {})
    body = _template(template).substitute(title=escape(title), version=escape(VERSION), **safe)
    head = _STYLE.format(style)
    html = _template("page").substitute(title=escape(title), head=head, body=body)
    return HTMLResponse(html, headers=_POLICY)


@cache
def _template(name: str) -> Template:
    """Return a template of this folder, read once."""
    return Template((TEMPLATES / f"{name}.html").read_text(encoding="utf-8"))


def install(app: FastAPI) -> None:
    """Serve the pages and their files."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
