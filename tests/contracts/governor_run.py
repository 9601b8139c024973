"""A training run that takes no time: claims its folder as a real run does, notes that it ran, writes a record.

`python governor_run.py training --problem P --as-of T --run-id KEY --no-seed`; the home is TIDEMILL_HOME. Each real
run appends one line to `<home>/ran.txt`: the tests count them. It lasts as long as there is a file `<home>/wait`.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from components.base.run_lock import claim_run

if __name__ == "__main__":
    home, key = Path(os.environ["TIDEMILL_HOME"]), sys.argv[sys.argv.index("--run-id") + 1]
    folder = home / "runs" / key
    with claim_run(folder) as is_ours:
        if is_ours:
            with (home / "ran.txt").open("a") as ran:
                ran.write(f"{key}\n")
            while (home / "wait").exists():
                time.sleep(0.05)
            record = {"name": key, "problem": "flight-delays", "as_of": "", "started": "", "seconds": 0.0}
            record |= {"status": "done", "deployment": "promoted", "verdict": "promote"}
            (folder / "run.json").write_text(json.dumps({**record, "model_version": "2", "reasons": ["It is better."]}))
