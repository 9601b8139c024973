"""Start the predictor: `python -m components.serving.predictor --model-dir DIR --port 8080`."""

import sys

from components.serving.predictor.server import main

if __name__ == "__main__":
    main(sys.argv[1:])
