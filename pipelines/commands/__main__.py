"""Run `tidemill` by the module's name: `python -m pipelines.commands run training --problem flight-delays`."""

import sys

from pipelines.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
