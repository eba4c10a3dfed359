import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the sweep's helpers are shared by the test files here
