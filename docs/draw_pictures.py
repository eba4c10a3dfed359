"""Draws the CMC curves and the map of embeddings of docs/how_to/pictures.md, from synthetic people and the network that ships.

python docs/draw_pictures.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

import nlreid
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.histograms import colour_histogram
from nlreid.models import VideoReID
from nlreid.visualize import draw_cmc, draw_embedding_map, project, save_picture

PICTURES = Path(__file__).parent / "pictures"
MODEL, WEIGHTS = "r3d18_half_nl", "synthetic"
SEED, FRAMES = 2018, 16  # as in `nlreid demo`
SEARCHED, MAPPED = 40, 10  # people


def main() -> None:
    """Draw both."""
    model = nlreid.create_model(MODEL, pretrained=WEIGHTS)
    draw_curves(model, PICTURES / "cmc.png")
    draw_map(model, PICTURES / "embedding_map.png")


def draw_curves(model: VideoReID, path: Path) -> None:
    """The network beside colour histograms, on the people of the demo."""
    people = SyntheticPeople(seed=SEED, identities=SEARCHED, frames=FRAMES, size=model.clip_spec.size)
    split = people.split()
    systems = {}
    query, gallery = (nlreid.embed(model, part, progress=False) for part in (split.query, split.gallery))
    systems[model.name] = nlreid.evaluate(query, gallery)
    colours = [
        replace(
            embedded,
            features=torch.stack([colour_histogram(t.read(range(len(t)), model.clip_spec.size)) for t in part]),
            model="colour histogram",
        )
        for embedded, part in ((query, split.query), (gallery, split.gallery))
    ]
    systems["colour histogram"] = nlreid.evaluate(*colours)
    save_picture(draw_cmc(systems, title=f"{SEARCHED} drawn people, seed {SEED}"), path)


def draw_map(model: VideoReID, path: Path) -> None:
    """Several tracklets of a few people under three cameras."""
    people = SyntheticPeople(seed=SEED, identities=MAPPED, cameras=3, tracklets=3, frames=FRAMES, size=model.clip_spec.size)
    split = people.split()
    seen = {tracklet.name: tracklet for tracklet in (*split.query, *split.gallery)}
    save_picture(draw_embedding_map(project(nlreid.embed(model, list(seen.values()), progress=False))), path)


if __name__ == "__main__":
    main()
