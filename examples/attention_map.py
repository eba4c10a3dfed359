"""Where points on a walking person look in all frames of a clip (arXiv 1807.05073, Fig. 6): the picture in the docs.

The network is the one that ships with the library, the person is drawn; nothing is downloaded. To look at a clip of your own,
make `frames` of it, as `Tracklet.read` gives them, and name points that lie on the person.

    python examples/attention_map.py    # needs the extra [viz]
"""

from __future__ import annotations

from pathlib import Path

import nlreid
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.visualize import attend, draw_attention, save_picture

MODEL, WEIGHTS = "r3d18_half_nl", "synthetic"
BLOCK = "layer2.non_local_1"  # the finer of its two: 12 x 6 positions a frame
POINTS = [(0, 10, 33), (0, 40, 28), (0, 86, 8)]  # frame, y, x: head, chest, a foot
HEIGHT = 1.25  # of a frame, in inches
STRONGEST = 5  # of the places that a point takes from, lines lead to so many
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "attention.png"


def main() -> None:
    """Draw a person, look at the attention of the points, write the picture."""
    model = nlreid.create_model(MODEL, pretrained=WEIGHTS)
    clip = model.clip_spec
    people = SyntheticPeople(seed=2018, identities=4, frames=clip.frames * clip.stride, size=clip.size)
    walker = people.split().gallery[2]  # seen from the side, and whole
    frames = walker.read(range(0, len(walker), clip.stride), clip.size)  # (t, h, w, 3)
    figure = draw_attention(attend(model, frames, POINTS, block=BLOCK), height=HEIGHT, strongest=STRONGEST)
    PICTURE.parent.mkdir(exist_ok=True)
    save_picture(figure, PICTURE, dpi=90)
    print(f"{PICTURE}: {len(POINTS)} points in {len(frames)} frames, {model.name} ({model.loaded.source})")


if __name__ == "__main__":
    main()
