"""Draws `docs/pictures/synthetic_people.jpg`: twenty synthetic people, each before three cameras.

python docs/draw_synthetic.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nlreid.data.datasets.synthetic import SyntheticPeople

CAMERAS, A_ROW, GAP = 3, 4, 8
FRAME = 3  # of each tracklet, which is shown


def sheet() -> Image.Image:
    """A family of four in a row, of whom some copy the first; of each one picture a camera."""
    people = SyntheticPeople(seed=2, identities=20, cameras=CAMERAS, frames=FRAME + 1)
    split = people.split()
    height, width = people.size
    rows = -(-people.identities // A_ROW)
    picture = np.full((rows * (height + GAP) - GAP, A_ROW * (CAMERAS * width + GAP) - GAP, 3), 255, np.uint8)
    for tracklet in (*split.query, *split.gallery):
        row, column = divmod(tracklet.pid - 1, A_ROW)
        top, left = row * (height + GAP), column * (CAMERAS * width + GAP) + (tracklet.camid - 1) * width
        picture[top : top + height, left : left + width] = tracklet.frames[FRAME]
    return Image.fromarray(picture)


if __name__ == "__main__":
    path = Path(__file__).parent / "pictures" / "synthetic_people.jpg"
    path.parent.mkdir(exist_ok=True)
    sheet().save(path, quality=90, optimize=True)
