"""Copies on a stream of their own bring what was sent; without such a device nothing happens."""

import numpy as np
import pytest
import torch

import nlreid
from nlreid import Tracklet, embed
from nlreid.embedding.batches import Batch, batches
from nlreid.embedding.transfer import Upload
from nlreid.models import ClipSpec

pytestmark = pytest.mark.usefixtures("one_thread")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def tracklet(number, frames):
    generator = np.random.default_rng(number)
    return Tracklet(str(number), [generator.integers(0, 256, (40, 24, 3), dtype=np.uint8) for _ in range(frames)])


def test_on_the_cpu_batches_pass_as_they_are():
    upload = Upload(torch.device("cpu"), torch.float64)
    assert not upload.pinned
    batch = Batch(torch.zeros(1, 3, 1, 2, 2), [0], [])
    [passed] = upload.begin([batch])
    assert passed is batch
    assert upload.finish(passed) is batch.clips


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_arrives_is_what_was_sent(dtype):
    device = torch.device("cuda", torch.cuda.current_device())
    upload, people = Upload(device, dtype), [tracklet(number, 30) for number in range(8)]
    made = [list(batches(people, ClipSpec(), 1, 4, pinned=pinned)) for pinned in (True, False)]
    assert all(batch.clips.is_pinned() for batch in made[0])
    for sent, plain in zip(upload.begin(made[0]), made[1], strict=True):
        arrived = upload.finish(sent)
        assert (arrived.device, arrived.dtype) == (device, dtype)
        assert torch.equal(arrived.cpu(), plain.clips.to(dtype))


@needs_cuda
def test_the_number_of_batches_ahead_does_not_matter_there():
    torch.manual_seed(0)
    model = nlreid.create_model("test_r3d_nl").eval().cuda()
    people = [tracklet(number, 20) for number in range(12)]
    in_turn, *ahead = (embed(model, people, batch_size=3, prefetch=count, progress=False).features for count in (0, 1, 4))
    for features in ahead:
        torch.testing.assert_close(features, in_turn, rtol=0, atol=1e-6)
