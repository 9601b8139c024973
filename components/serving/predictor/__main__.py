"""Start the predictor: `python -m components.serving.predictor --model-dir DIR --port 8080`."""

import sys

from components.serving.predictor.lean_imports import import_lean

if __name__ == "__main__":
    import_lean()
    from components.serving.predictor.server import main

    main(sys.argv[1:])
