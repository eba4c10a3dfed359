"""A checkpoint for the tests: on the Hub, and at publishers of its own. Run as a script, it fetches it in another process."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

if __name__ == "__main__":  # without the package's own __init__, which imports timm and more: seconds that say nothing here
    package = sys.modules["nlreid"] = ModuleType("nlreid")
    package.__path__ = [os.environ["NLREID_PACKAGE"]]

from nlreid.errors import WeightsError
from nlreid.hub.table.manifest import Checksums, Entry, Licence

REPO = "people/walker"
COUNT = 30_000
ENTRY = Entry(
    name="walker.strollers",
    title="Walker",
    status="upstream",
    format="torch",
    recipe="walking",
    licence=Licence("Apache-2.0", "their README", True),
    overrides={},
    clip={"frames": 8, "stride": 8, "size": [32, 16], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    num_classes=3,
    page="https://strollers.example/walker",
)


def entry_at(url: str, **known: object) -> Entry:
    """The entry, published at a URL, with what is known about the bytes there."""
    return replace(ENTRY, url=url, checksums=Checksums(**known))


def tensors() -> dict:
    """The tensors, by this library's names."""
    import torch

    return {"backbone.conv1.weight": torch.arange(float(COUNT)), "head.classifier.bias": torch.ones(3)}


def published(version: int = 0) -> bytes:
    """The file as its publishers have it: their names, the format of torch."""
    import torch

    file = io.BytesIO()
    torch.save({"state_dict": {"conv": tensors()["backbone.conv1.weight"] + version, "fc": torch.ones(3)}}, file)
    return file.getvalue()


def on_the_hub() -> dict[str, bytes]:
    """The files of a repository."""
    import safetensors.torch

    return {"config.json": ENTRY.config().to_json().encode(), "model.safetensors": safetensors.torch.save(tensors())}


def recipe(version: int = 1):
    """The converter."""
    from nlreid.hub.convert import Conversion, Recipe

    names = {"conv": "backbone.conv1.weight", "fc": "head.classifier.bias"}
    return Recipe(
        "walking",
        "tests",
        convert=lambda source: Conversion({names[name]: tensor for name, tensor in source.items()}),
        recognises=lambda found: set(found) == set(names),
        version=version,
    )


def check(found) -> None:
    """Whether these are the tensors of the model."""
    if {name: tensor.shape for name, tensor in found.items()} != {name: tensor.shape for name, tensor in tensors().items()}:
        raise WeightsError("not the tensors of a walker")


def main(route: str, address: str) -> None:
    """Fetch it and print its path."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    get = from_hub() if route == "hub" else from_publishers(address)
    get_session().get(f"{constants.ENDPOINT}/ready")  # whoever waits for this process sees that it begins now
    sys.stdout.write(str(get()))


def from_hub() -> Callable[[], Path]:
    from nlreid.hub.fetching.repository import RepositoryFile, obtain

    return lambda: obtain(RepositoryFile(REPO, "model.safetensors")).path


def from_publishers(address: str) -> Callable[[], Path]:
    from nlreid.hub.convert import RECIPES
    from nlreid.hub.fetching.fetch import fetch

    RECIPES["walking"] = recipe()
    return lambda: fetch(entry_at(address), check).path


if __name__ == "__main__":
    main(*sys.argv[1:])
