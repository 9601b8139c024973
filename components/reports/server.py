"""Serve the reports in the object store as pages, to read only.

In: the library. Out: an HTTP application: `/` lists models and runs, and the key of a page is its address. It changes
nothing, knows no user and no secret: who may open it is for whatever stands before it. Called by
`components/reports/__main__.py`.

    GET /                                                  the home page
    GET /<problem>/reports/<pipeline>/<name>/<file>        a page, as `present` or `report` wrote it
    GET /healthz                                           200 while the process works
"""

from pathlib import PurePosixPath

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from components.base.errors import ObjectMissingError, TidemillError, TransientError
from components.reports.home_page import render_home
from components.reports.library import FRONT_PAGES, Library

_TYPES = {".html": "text/html; charset=utf-8", ".md": "text/plain; charset=utf-8"}
_HEADERS = {
    # The pages stand alone: no script, nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A run that is repeated replaces its pages.
    "Cache-Control": "no-cache",
}


def create_app(library: Library) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="Tidemill reports", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(TidemillError, _answer_error)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/")
    def home() -> HTMLResponse:
        records, pages = library.list_runs()
        return HTMLResponse(render_home(records, lambda key: key if key in pages else None), headers=_HEADERS)

    @app.get("/{problem}/reports/{pipeline}/{name}/{file}")
    def page(problem: str, pipeline: str, name: str, file: str) -> Response:
        kind = _TYPES.get(PurePosixPath(file).suffix)
        if kind is None or pipeline not in FRONT_PAGES or problem not in library.problems:
            raise ObjectMissingError(f"{file}: it must be a page of a report, but is not. The home page lists them.")
        content = library.read_page(f"{problem}/reports/{pipeline}/{name}/{file}")
        return Response(content, media_type=kind, headers=_HEADERS)

    return app


async def _answer_error(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, ObjectMissingError) else 503 if isinstance(error, TransientError) else 500
    return PlainTextResponse(str(error), status, headers=_HEADERS)
