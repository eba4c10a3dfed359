"""The network that ships knows people again whom it has never seen, under another camera, better than their colours do."""

import torch

import nlreid
from nlreid.data.datasets.synthetic import SyntheticPeople
from nlreid.data.histograms import colour_histogram


def test_it_knows_people_again_better_than_a_histogram():
    model = nlreid.create_model("r3d18_half_nl", pretrained="synthetic")
    size = model.clip_spec.size
    split = SyntheticPeople(seed=5, identities=12, frames=8, size=size).split()
    network = nlreid.evaluate(*(nlreid.embed(model, part, progress=False) for part in (split.query, split.gallery)))
    colours = nlreid.evaluate(*map(_colours, (split.query, split.gallery)))
    assert network.mAP > 0.8
    assert network.mAP > colours.mAP + 0.1


def _colours(tracklets):
    features = torch.stack([colour_histogram(torch.from_numpy(tracklet.frames)) for tracklet in tracklets])
    labels = (torch.tensor([getattr(tracklet, name) for tracklet in tracklets]) for name in ("pid", "camid"))
    return nlreid.Embeddings(features, *labels)
