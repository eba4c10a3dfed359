"""How long loading takes and how much memory: `python tests/benchmarks/load_weights.py [TAG …]`, Linux only.

For each tag a synthetic checkpoint is written as its project publishes it, and converted once. Each file is then loaded in a
process of its own; memory is the process's peak beyond what it had before `create_model`, as a multiple of the tensors' bytes:
the network itself is 1.0 of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden.published import TAGS, golden

MEASURED = """
import json, sys, time
from pathlib import Path
import torch, timm, nlreid
torch.set_num_threads(1)
def memory(kind):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
name, path, classes = sys.argv[1:]
nlreid.create_model("test_r3d")  # what is imported and allocated at first use
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before, start = memory("VmRSS"), time.perf_counter()
model = nlreid.create_model(name, pretrained=path, head="linear", num_classes=int(classes))
seconds = time.perf_counter() - start
size = sum(tensor.nbytes for tensor in model.state_dict().values())
print(json.dumps({"seconds": seconds, "peak": (memory("VmHWM") - before) * 1024 / size, "size": size}))
"""


def measure(name: str, path: Path, classes: int) -> dict[str, float]:
    """Load a file in a process of its own."""
    command = [sys.executable, "-c", MEASURED, name, str(path), str(classes)]
    result: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return result


def main(asked: list[str]) -> None:
    """Print a row for each golden file, or for those of the tags that were asked for."""
    sys.stdout.write(f"{'checkpoint':42} {'MB':>6}   {'as published':>14}   {'converted':>14}\n")
    for file, name in sorted(TAGS.items()):
        if asked and name not in asked:
            continue
        with tempfile.TemporaryDirectory() as folder:
            published, converted = golden(file).write(Path(folder, "published")), Path(folder, "converted.safetensors")
            command = [sys.executable, "-m", "nlreid", "convert", name, str(published), "-o", str(converted)]
            subprocess.run(command, check=True, capture_output=True)
            classes = next(shape[0] for key, shape in golden(file).shapes.items() if shape[1:] in ((2048,), (512,)))
            rows = [measure(name, path, classes) for path in (published, converted)]
            shown = "   ".join(f"{row['seconds']:6.2f} s {row['peak']:4.2f} x" for row in rows)
            sys.stdout.write(f"{file:42} {rows[0]['size'] / 1e6:6.1f}   {shown}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
