"""Training transforms: what is drawn, how often, and that it is one draw for a whole clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as F

from nlreid.data.clips import random_window
from nlreid.data.tracklet import Tracklet
from nlreid.data.training import TrainingTransform, erased_rectangle
from nlreid.data.transforms import EvaluationTransform
from nlreid.errors import InputError
from nlreid.models.spec import ClipSpec

SIZE, MEAN, STD = (32, 16), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = TrainingTransform(SIZE, MEAN, STD, enlarge=0, flip=0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(*sizes, seed=0):
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.integers(0, 256, (height, width, 3), dtype=np.uint8)) for height, width in sizes]


def slowly(frame, enlarged, top, left, flipped):
    """One frame, one step after the other, as torchvision does each: float32 (3, h, w)."""
    channels_first = frame.permute(2, 0, 1)
    size = [36, 18] if enlarged else list(SIZE)
    sized = F.resize(channels_first, size, antialias=True)
    cut = F.crop(sized, top, left, *SIZE)
    turned = F.hflip(cut) if flipped else cut
    return F.normalize(turned.float() / 255, list(MEAN), list(STD))


def views(frame):
    """Every result that the transform can have for one frame, without erasing, by what was drawn."""
    places = [(False, 0, 0)] + [(True, top, left) for top in range(5) for left in range(3)]
    return {(*place, flipped): slowly(frame, *place, flipped) for place in places for flipped in (False, True)}


def drawn(result, candidates):
    """Which of `views` it is, exactly; of (3, h, w) tensors."""
    found = [key for key, view in candidates.items() if torch.equal(result, view)]
    assert len(found) == 1, "not one of the results that the slow path can have"
    return found[0]


@pytest.mark.parametrize("sizes", [[(40, 20)] * 3, [(40, 20), (64, 30), (17, 9)], [SIZE] * 2, [(1, 1), (36, 18)]])
def test_all_frames_have_what_the_slow_path_gives_for_one_draw(sizes):
    frames = pictures(*sizes)
    transform, keys = TrainingTransform(SIZE, MEAN, STD), set()
    candidates = [views(frame) for frame in frames]
    for seed in range(20):
        clip = transform(frames, seeded(seed))
        assert clip.dtype == torch.float32
        assert clip.shape == (3, len(frames), *SIZE)
        known = max(range(len(frames)), key=lambda place: frames[place].numel())  # of one pixel all views are alike
        key = drawn(clip[:, known], candidates[known])
        keys.add(key)
        for place, views_of_frame in enumerate(candidates):
            assert torch.equal(clip[:, place], views_of_frame[key])
    assert {key[0] for key in keys} == {key[3] for key in keys} == {False, True}


def test_pillow_resizes_to_the_same_within_rounding():
    (frame,) = pictures((80, 50))
    clip = PLAIN([frame], seeded())
    resized = np.asarray(Image.fromarray(frame.numpy()).resize((16, 32), Image.Resampling.BILINEAR))
    values = clip[:, 0].permute(1, 2, 0).numpy() * np.array(STD) + np.array(MEAN)
    np.testing.assert_allclose(values * 255, resized, atol=1.01)


def test_probabilities_and_places_are_those_promised():
    frames, transform, seeds = pictures((40, 20)), TrainingTransform(SIZE, MEAN, STD, enlarge=0.75, flip=0.25), 1200
    candidates = views(frames[0])
    keys = [drawn(transform(frames, seeded(seed))[:, 0], candidates) for seed in range(seeds)]
    enlarged = [key for key in keys if key[0]]

    def as_likely(count, total, probability):
        return abs(count - total * probability) < 5 * (total * probability * (1 - probability)) ** 0.5

    assert as_likely(len(enlarged), seeds, 0.75)
    assert as_likely(sum(key[3] for key in keys), seeds, 0.25)
    for key in {key[1:3] for key in candidates if key[0]}:
        assert as_likely(sum(drawn_key[1:3] == key for drawn_key in enlarged), len(enlarged), 1 / 15)


@pytest.mark.parametrize(("enlarge", "flip"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_never_and_always(enlarge, flip):
    frames = pictures((40, 20))
    candidates, transform = views(frames[0]), TrainingTransform(SIZE, MEAN, STD, enlarge=enlarge, flip=flip)
    for seed in range(20):
        key = drawn(transform(frames, seeded(seed))[:, 0], candidates)
        assert (key[0], key[3]) == (bool(enlarge), bool(flip))


def test_without_chance_it_is_the_evaluation_transform():
    frames = pictures((40, 20), (50, 30), SIZE)
    evaluation = EvaluationTransform(SIZE, MEAN, STD)
    assert torch.equal(PLAIN(frames, seeded()), evaluation(frames))
    one_by_one = torch.cat([evaluation(frame[None]) for frame in frames], dim=1)
    assert torch.equal(evaluation(frames), one_by_one)
    assert torch.equal(evaluation(frames, generator=seeded()), one_by_one)


def test_the_paper_enlarges_by_an_eighth(monkeypatch):
    asked = []
    genuine = F.resize
    monkeypatch.setattr(F, "resize", lambda frames, size, **options: asked.append(size) or genuine(frames, size, **options))
    TrainingTransform((256, 128), MEAN, STD, enlarge=1)(pictures((20, 10), (22, 10)), seeded())
    assert asked == [[288, 144]] * 2  # each frame once


def erased(clip, plain):
    """The rectangle of each frame: top, left, height, width; or None."""
    rectangles = []
    for frame, before in zip(clip.unbind(1), plain.unbind(1), strict=True):
        different = (frame != before).any(dim=0)
        rows, columns = different.any(dim=1).nonzero().flatten(), different.any(dim=0).nonzero().flatten()
        if not len(rows):
            rectangles.append(None)
            continue
        top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
        assert (frame[:, top : bottom + 1, left : right + 1] == 0).all()  # the mean colour, and nothing else has changed
        rectangles.append((top, left, bottom - top + 1, right - left + 1))
    return rectangles


@pytest.mark.parametrize("each_frame", [False, True])
def test_erasing_is_one_rectangle_for_all_frames_or_one_for_each(each_frame):
    frames = [torch.full((40, 20, 3), 255, dtype=torch.uint8)] * 4  # no pixel is of the mean colour
    transform = replace(PLAIN, erasing=1.0, erase_each_frame=each_frame)
    plain, alike = PLAIN(frames, seeded()), 0
    for seed in range(30):
        rectangles = erased(transform(frames, seeded(seed)), plain)
        assert None not in rectangles
        alike += len(set(rectangles)) == 1
    assert alike == (0 if each_frame else 30)


@pytest.mark.parametrize("each_frame", [False, True])
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_a_clip_is_erased_with_the_probability_asked_for(probability, each_frame):
    frames = [torch.full((4, 4, 3), 255, dtype=torch.uint8)] * 2
    transform = replace(PLAIN, erasing=probability, erase_each_frame=each_frame)
    clips, plain = [transform(frames, seeded(seed)) for seed in range(400)], PLAIN(frames, seeded())
    erased_frames = [[rectangle is not None for rectangle in erased(clip, plain)] for clip in clips]
    assert all(len(set(whether)) == 1 for whether in erased_frames)  # all frames or none
    count = sum(whether[0] for whether in erased_frames)
    assert abs(count - 400 * probability) <= 5 * (400 * probability * (1 - probability)) ** 0.5


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 300), width=st.integers(1, 300))
def test_an_erased_rectangle_lies_in_the_picture(seed, height, width):
    rectangle = erased_rectangle((height, width), seeded(seed))
    if rectangle is not None:
        top, left, tall, wide = rectangle
        assert 0 <= top < top + tall <= height
        assert 0 <= left < left + wide <= width


def test_erased_rectangles_have_the_areas_and_shapes_of_the_paper():
    rectangles = [erased_rectangle((256, 128), seeded(seed)) for seed in range(500)]
    areas = [tall * wide / (256 * 128) for _, _, tall, wide in rectangles]
    ratios = [tall / wide for _, _, tall, wide in rectangles]
    assert 0.019 < min(areas) < 0.05
    assert 0.35 < max(areas) < 0.405
    assert 0.28 < min(ratios) < 0.6
    assert 3 < max(ratios) < 3.4
    assert min(top for top, _, _, _ in rectangles) == min(left for _, left, _, _ in rectangles) == 0
    assert max(top + tall for top, _, tall, _ in rectangles) == 256
    assert max(left + wide for _, left, _, wide in rectangles) == 128


def test_a_picture_that_no_rectangle_fits_stays_whole():
    assert erased_rectangle((1000, 1), seeded()) is None
    transform = TrainingTransform((1000, 1), MEAN, STD, enlarge=0, flip=0, erasing=1.0)
    frames = pictures((1000, 1))
    assert torch.equal(transform(frames, seeded()), replace(transform, erasing=0.0)(frames, seeded()))


def test_the_generator_decides_and_nothing_else():
    frames, state = pictures((40, 20), (44, 21)), torch.get_rng_state()
    transform = TrainingTransform(SIZE, MEAN, STD, erasing=0.5, erase_each_frame=True)
    clips = [transform(frames, seeded(seed)) for seed in range(10)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert all(torch.equal(transform(frames, seeded(seed)), clip) for seed, clip in enumerate(clips))


@pytest.mark.parametrize("enlarge", [0, 1])
def test_the_pictures_given_are_not_written_to(enlarge):
    frames = pictures(SIZE, (36, 18))
    before = [frame.clone() for frame in frames]
    clip = TrainingTransform(SIZE, MEAN, STD, enlarge=enlarge, flip=1, erasing=1)(frames, seeded())
    assert all(torch.equal(frame, copy) for frame, copy in zip(frames, before, strict=True))
    assert clip.is_contiguous()


def test_a_tensor_of_frames_is_the_list_of_them():
    frames = pictures((40, 20), (40, 20))
    transform = TrainingTransform(SIZE, MEAN, STD, erasing=0.5)
    assert torch.equal(transform(torch.stack(frames), seeded(3)), transform(frames, seeded(3)))


def test_a_tracklet_of_several_sizes_goes_in():
    tracklet = Tracklet("a", [frame.numpy() for frame in pictures((40, 20), (30, 10), SIZE)])
    assert TrainingTransform(SIZE, MEAN, STD)(tracklet.pictures([0, 1, 1, 2]), seeded()).shape == (3, 4, *SIZE)


def test_the_clip_spec_gives_clips_and_both_transforms():
    spec = ClipSpec(frames=4, stride=3, size=SIZE, mean=MEAN, std=STD)
    assert spec.transform() == EvaluationTransform(SIZE, MEAN, STD)
    assert spec.training_clips()(999, generator=seeded()) == random_window(999, 4, 3, generator=seeded())
    assert spec.training_transform() == TrainingTransform(SIZE, MEAN, STD)
    assert spec.training_transform(0.5, erase_each_frame=True) == TrainingTransform(
        SIZE, MEAN, STD, erasing=0.5, erase_each_frame=True
    )


GOOD = torch.zeros(4, 4, 3, dtype=torch.uint8)


@pytest.mark.parametrize("transform", [PLAIN, EvaluationTransform(SIZE, MEAN, STD)])
@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "a clip has at least one frame; got none"),
        ([GOOD, GOOD.float()], r"frame 1 of a clip must be a uint8 RGB picture .* got torch.float32 \(4, 4, 3\)"),
        ([GOOD[None]], r"frame 0 of a clip must be .* got torch.uint8 \(1, 4, 4, 3\)"),
        ([GOOD[:, :0]], r"with no empty axis; got torch.uint8 \(4, 0, 3\)"),
        ([GOOD.permute(2, 0, 1)], r"got torch.uint8 \(3, 4, 4\)"),
        ([GOOD.numpy()], "frame 0 of a clip is a torch.Tensor; got ndarray"),
        (GOOD, r"frames must be uint8 RGB pictures \(t, h, w, 3\) .* got torch.uint8 \(4, 4, 3\)"),
        (GOOD[None].float(), r"got torch.float32 \(1, 4, 4, 3\)"),
        (GOOD[None].numpy(), r"frames are a list of pictures or a torch\.Tensor; got ndarray; torch\.as_tensor"),
        (None, "got NoneType"),
    ],
)
def test_refuses_what_is_no_clip(transform, frames, message):
    with pytest.raises(InputError, match=message):
        transform(frames, generator=seeded())


@pytest.mark.parametrize("generator", [None, 3])
def test_refuses_to_draw_from_nothing(generator):
    with pytest.raises(InputError, match=r"generator is a torch\.Generator of the CPU; got"):
        PLAIN([GOOD], generator)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"enlarge": 1.5}, r"enlarge is a probability, 0..1; got 1.5"),
        ({"flip": -0.1}, r"flip is a probability, 0..1; got -0.1"),
        ({"erasing": float("nan")}, r"erasing is a probability, 0..1; got nan"),
        ({"erasing": True}, r"erasing is a probability, 0..1; got True"),
        ({"size": (32,)}, r"size has 2 values; got \(32,\)"),
        ({"size": (32, 0)}, "each side of size is a whole number from 1; got 0"),
        ({"mean": (0.5, 0.5)}, "mean has 3 values"),
        ({"mean": 0.5}, "mean has 3 values; got 0.5"),
        ({"mean": (0.5, 0.5, float("nan"))}, "each value of mean and std is a finite number; got nan"),
        ({"std": (0.5, 0.5, 0.0)}, "every std is above 0"),
    ],
)
def test_refuses_what_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        replace(PLAIN, **changes)
