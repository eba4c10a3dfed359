"""One measurement in this process, for `measure.apart`: `apart.py MODULE FUNCTION OPTIONS`; writes what it answers as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    module, function, options = sys.argv[1:]
    answer = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**json.loads(options))
    sys.stdout.write(json.dumps(answer) + "\n")
