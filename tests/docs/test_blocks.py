"""Every Python block of README and docs runs, in the order of its page, beside the files that the pages speak of."""

import re
from pathlib import Path

import av
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]


def _pages():
    """Pages with Python blocks; those that need the extra [examples] run with the examples."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text("utf-8")
        if "```python" in text:
            yield pytest.param(path, id=path.name, marks=[pytest.mark.examples] if "import faiss" in text else [])


@pytest.fixture
def street(tmp_path, monkeypatch):
    """A folder with `street.avi`, twelve frames long, and a track file with two people."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    with av.open("street.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 160, 120
        for _ in range(12):
            picture = generator.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    Path("tracks.txt").write_text(
        "".join(f"{frame},{person},{20 * person},10,30,80\n" for frame in range(1, 13) for person in (1, 2))
    )


@pytest.mark.parametrize("page", list(_pages()))
@pytest.mark.usefixtures("street")
def test_python_blocks_run(page):
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
    if page.name == "README.md":
        assert namespace["out"].embedding.shape == (2, 512)
        assert len(namespace["people"]) == 2
        assert torch.is_tensor(namespace["total"])
        assert Path("people.safetensors").is_file()


def test_links_inside_the_project_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
