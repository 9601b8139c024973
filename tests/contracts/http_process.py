"""Serve a page as every server of the platform is served: `python http_process.py LINGER_SECONDS DESCRIPTORS`.

The contract tests of the HTTP server start it as a process of its own.
"""

import resource
import sys

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from components.base.adapters import uvicorn

if __name__ == "__main__":
    uvicorn.LINGER_SECONDS, descriptors = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])
    with uvicorn.open_listener("127.0.0.1", 0) as listener:
        print(uvicorn.read_address(listener), flush=True)
        uvicorn.serve_app(app, listener, grace_seconds=20)
