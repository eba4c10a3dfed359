"""`look_up` is `normalise`, bit for bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlreid.data.transforms import byte_values, look_up, normalise

ALL = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
three = st.tuples(*[st.floats(0.01, 10)] * 3)


@settings(deadline=None)
@given(mean=three, std=three)
def test_every_byte_becomes_what_arithmetic_makes_of_it(mean, std):
    out = torch.full((3, 1, 16, 16), torch.nan)
    look_up(ALL, byte_values(mean, std), out)
    assert torch.equal(out, normalise(ALL, mean, std))


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (8, 5, 3, 3), (8, 64, 40, 3)])
def test_a_clip_becomes_a_part_of_a_batch(shape):
    statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8)
    batch = torch.full((3, 3, *shape[:3]), torch.nan)
    look_up(frames, byte_values(*statistics), out=batch[1])
    assert torch.equal(batch[1], normalise(frames, *statistics))
    assert batch[[0, 2]].isnan().all()
    turned = frames.transpose(1, 2).contiguous().transpose(1, 2)  # the same pictures, otherwise in memory
    look_up(turned, byte_values(*statistics), out=batch[0])
    assert torch.equal(batch[0], batch[1])
