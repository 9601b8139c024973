"""Start the exporter: `python -m components.exporter --problem <contract>`."""

import sys

from components.exporter.server import main

if __name__ == "__main__":
    sys.exit(main())
