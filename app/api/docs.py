"""Pages for people: the interactive documentation and what each problem means; no CDN anywhere."""

from html import escape
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.api.house import answer
from app.api.problems import KINDS, Problem

STATIC = Path(__file__).resolve().parent.parent / "static"
router = APIRouter(include_in_schema=False)

#: Pages load from here alone; Swagger UI writes styles and data images inline.
_POLICY = {
    "content-security-policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}


def page(title: str, body: str, *, head: str = "") -> HTMLResponse:
    """Return an HTML page that loads nothing from elsewhere."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="/static/swagger/favicon-32x32.png">'
        f"{head}</head><body>{body}</body></html>"
    )
    return HTMLResponse(html, headers=_POLICY)


@router.get("/docs")
async def swagger() -> Response:
    """Show every route, to read and to try."""
    head = '<link rel="stylesheet" href="/static/swagger/swagger-ui.css">'
    body = (
        '<div id="swagger-ui"></div><script src="/static/swagger/swagger-ui-bundle.js"></script>'
        '<script src="/static/docs.js"></script>'
    )
    return page("GNES API", body, head=head)


@router.get("/problems/{code}")
async def problem(request: Request, code: str) -> Response:
    """Explain a problem's code: this is where a problem's ``type`` points."""
    kind = KINDS.get(code)
    if kind is None:
        raise Problem("route_not_found", f"there is no problem with the code {code!r}")
    if "text/html" in request.headers.get("accept", ""):
        return page(
            kind.title,
            f"<main><h1>{escape(kind.title)}</h1><p><code>{escape(code)}</code>, status "
            f"{kind.status}</p><p>{escape(kind.remedy)}</p></main>",
        )
    return answer({"code": code, "status": kind.status, "title": kind.title, "remedy": kind.remedy})


def install(app: FastAPI) -> None:
    """Serve the pages and their files."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
