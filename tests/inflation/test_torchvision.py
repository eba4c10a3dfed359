"""The plans of torchvision's 18-layer video networks give exactly those networks."""

import re

import pytest
import timm
import torch
import torchvision

from nlreid.inflation import PLANS
from nlreid.inflation.inflate import build_3d


def timm_names(name: str) -> str:
    """torchvision's name of a tensor in timm's layout."""
    name = re.sub(r"^stem\.0\.", "conv1.", name)
    name = re.sub(r"^stem\.1\.", "bn1.", name)
    return re.sub(r"conv([12])\.([01])\.", lambda m: ("conv" if m[2] == "0" else "bn") + m[1] + ".", name)


def timm_names_of_pairs(name: str) -> str:
    """The same for R(2+1)D, whose convolutions are pairs."""
    halves = {"0": "spatial", "1": "norm", "3": "temporal"}
    stem = re.match(r"stem\.(\d)\.(.+)", name)
    if stem:
        return f"conv1.{halves[stem[1]]}.{stem[2]}" if stem[1] != "4" else f"bn1.{stem[2]}"
    name = re.sub(r"conv([12])\.0\.([013])\.", lambda m: f"conv{m[1]}.{halves[m[2]]}.", name)
    return re.sub(r"conv([12])\.1\.", r"bn\1.", name)


@pytest.mark.parametrize(
    ("plan", "network", "rename"),
    [
        ("r3d", torchvision.models.video.r3d_18, timm_names),
        ("mc3", torchvision.models.video.mc3_18, timm_names),
        ("r2plus1d", torchvision.models.video.r2plus1d_18, timm_names_of_pairs),
    ],
)
def test_same_answer_as_torchvision(plan, network, rename):
    theirs = network(weights=None).eval()
    state = {rename(name): tensor for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")}
    ours = build_3d(timm.create_model("resnet18"), PLANS[plan]).eval()
    ours.load_state_dict(state)
    clip = torch.randn(2, 3, 8, 64, 64)
    with torch.inference_mode():
        expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(theirs.stem(clip)))))
        torch.testing.assert_close(ours(clip), expected, rtol=1e-4, atol=1e-5)
