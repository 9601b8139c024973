"""Start the reports service: `python -m components.reports --port 8000`. Ends with SIGTERM or Ctrl-C."""

import logging
import sys
from contextlib import suppress
from typing import Annotated

import typer

from components.base.errors import TidemillError


def serve_reports(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a pod.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
) -> None:
    """Serve the reports in the object store as pages, to read only. Ends with Ctrl-C.

    Which store and which problems: TIDEMILL_S3_ENDPOINT, TIDEMILL_BUCKET, TIDEMILL_PROBLEMS.
    """
    from components.base.adapters.s3 import open_store
    from components.base.adapters.uvicorn import open_listener, read_address, serve_app
    from components.base.contract.load import load_problems
    from components.base.settings import load_settings
    from components.reports.library import Library
    from components.reports.server import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load_settings()
    app = create_app(Library(open_store(settings), list(load_problems(settings.problems))))
    with open_listener(host, port) as listener, suppress(KeyboardInterrupt):
        logging.getLogger(__name__).info("listens on %s", read_address(listener))
        serve_app(app, listener, grace_seconds=2)


if __name__ == "__main__":
    try:
        typer.run(serve_reports)
    except TidemillError as error:
        sys.exit(str(error))
