"""Published checkpoints load through `create_model`, and the network answers what the project that trained it answers.

The checkpoints are synthetic, in the layout and file format of each project; the answers are those of that project's own code.
"""

import pytest
import torch
from golden.published import TAGS, golden

import nlreid
from nlreid.hub.table.manifest import manifest

LIMIT = 1e-4  # outputs have a standard deviation of 0.2 to 1


@pytest.fixture(scope="module", params=sorted(TAGS))
def published(request, tmp_path_factory):
    """A golden file, and the file of its checkpoint, written as it would be published, under a name that says nothing."""
    reference = golden(request.param)
    path = reference.write(tmp_path_factory.mktemp("published") / "checkpoint")
    yield reference, path
    path.unlink()


def test_the_answer_is_that_of_the_project(published):
    reference, path = published
    name = TAGS[reference.file]
    classes = manifest()[name].num_classes
    model = nlreid.create_model(name, pretrained=path, head="linear", num_classes=classes).eval()
    with torch.no_grad():
        logits = model(reference.clip()).logits.flatten()
    assert len(logits) == len(reference.output)
    assert (logits - torch.tensor(reference.output)).abs().max() <= LIMIT
    assert model.name == name
    assert model.loaded.missing == ()
    assert model.loaded.source == str(path)
    assert model.loaded.licence == manifest()[name].licence.id


def test_every_tag_of_a_network_of_others_has_an_answer():
    assert set(TAGS.values()) == {name for name, entry in manifest().items() if entry.status != "shipped"}
