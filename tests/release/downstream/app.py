"""A program of somebody who uses the library: `mypy --strict` has nothing to say of it, and it runs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import assert_type

import nlreid
from nlreid.data.datasets.table import read_splits
from nlreid.data.split import Split
from nlreid.evaluation import Neighbours, RankingScores, nearest
from nlreid.inflation.backbone import Backbone3d
from nlreid.layers.heads import ReIDOutput
from nlreid.losses.total import LossParts


class OwnNetwork(nn.Module):
    """A non-local block in a network of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(3, 8, 3)
        self.block = nlreid.NonLocalBlock(8, pairwise="dot_product", subsample=2)

    def forward(self, clip: Tensor) -> Tensor:
        """Clips `(b, 3, t, h, w)` to feature maps `(b, 8, t - 2, h - 2, w - 2)`."""
        return assert_type(self.block(self.convolution(clip)), Tensor)


def create() -> nlreid.VideoReID:
    """The first name that fits, as a network."""
    names = assert_type(nlreid.list_models("test_r3d_nl"), list[str])
    assert_type(nlreid.list_pretrained(), list[str])
    return assert_type(nlreid.create_model(names[0], num_classes=3), nlreid.VideoReID)


def train(model: nlreid.VideoReID) -> float:
    """One step."""
    frames, (height, width) = model.clip_spec.frames, model.clip_spec.size
    out = assert_type(model(torch.randn(4, 3, frames, height, width)), ReIDOutput)
    parts = assert_type(nlreid.VideoReIDLoss()(out, torch.tensor([0, 0, 1, 1])), LossParts)
    optimiser = torch.optim.SGD(model.param_groups(weight_decay=1e-4), lr=0.01)
    parts.total.backward()  # type: ignore[no-untyped-call]  # torch's own
    optimiser.step()
    assert_type(nlreid.BatchHardTripletLoss("soft")(out.embedding, torch.tensor([0, 0, 1, 1])), Tensor)
    if out.logits is not None:
        assert_type(nlreid.LabelSmoothingCrossEntropy(0.1)(out.logits, torch.tensor([0, 0, 1, 1])), Tensor)
    return parts.total.item()


def people(camid: int) -> list[nlreid.Tracklet]:
    """Two people under a camera."""
    pictures: NDArray[np.uint8] = np.random.default_rng(camid).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)
    return [nlreid.Tracklet(f"{pid}_{camid}", pictures, pid=pid, camid=camid) for pid in (1, 2)]


def search(model: nlreid.VideoReID) -> RankingScores:
    """From tracklets to scores."""
    fast = assert_type(nlreid.optimize_for_inference(model), nlreid.VideoReID)
    query = assert_type(nlreid.embed(fast, people(1), progress=False), nlreid.Embeddings)
    gallery = nlreid.embed(fast, people(2), progress=False)
    found = assert_type(nearest(query.features, gallery.features, top=2), Neighbours)
    print(len(query), query.tracks[0].name, found.rows.tolist())
    assert_type(nlreid.rerank(query.features, gallery.features, k1=1, k2=1), Tensor)
    return assert_type(nlreid.evaluate(query, gallery), RankingScores)


def keep(model: nlreid.VideoReID) -> None:
    """Write, and read again."""
    with TemporaryDirectory() as folder:
        card = {"licence": "CC-BY-4.0", "summary": "Trained on nothing."}
        path = assert_type(nlreid.save_pretrained(model, Path(folder) / "kept", card=card), Path)
        again = nlreid.create_model(model.name, path, num_classes=3)
        print(assert_type(again.loaded.missing, tuple[str, ...]))
        model.backbone.load_state_dict(again.backbone.state_dict())


def inflate() -> Backbone3d:
    """A network of timm, in 3D."""
    backbone = nlreid.inflate(timm.create_model("test_resnet"), plan="i3d")
    assert_type(nlreid.optimize_for_inference(backbone), Backbone3d)
    return assert_type(backbone, Backbone3d)


def splits(root: Path) -> tuple[Split, ...]:
    """A data set."""
    return assert_type(read_splits("mars", root), tuple[Split, ...])


if __name__ == "__main__":
    network = create()
    print(nlreid.__version__, train(network), search(network.eval()))
    keep(network)
    print(inflate().num_features, OwnNetwork()(torch.zeros(1, 3, 4, 8, 8)).shape)
