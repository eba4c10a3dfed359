"""The example that makes the picture of attention, with a tiny network in place of the trained one."""

import importlib.util
from pathlib import Path

from PIL import Image

SOURCE = Path(__file__).parents[2] / "examples" / "attention_map.py"


def test_it_draws_a_row_for_each_point(monkeypatch, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("attention_map", SOURCE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    picture = tmp_path / "pictures" / "attention.png"
    tiny = {"MODEL": "test_r3d_nl", "WEIGHTS": None, "BLOCK": "layer3.non_local_0", "POINTS": [(0, 8, 16), (3, 56, 12)]}
    for name, value in (tiny | {"PICTURE": picture}).items():
        monkeypatch.setattr(example, name, value)
    example.main()
    assert f"{picture}: 2 points in 4 frames, test_r3d_nl (random)" in capsys.readouterr().out
    with Image.open(picture) as shown:
        assert min(shown.size) > 100
