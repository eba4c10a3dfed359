"""P identities x K tracklets: what each batch, each epoch and each rank holds."""

import copy
import pickle
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from nlreid.data.samplers import Draw, RandomIdentitySampler, numbered
from nlreid.errors import InputError


def cut(items, size):
    items = list(items)
    return [items[start : start + size] for start in range(0, len(items), size)]


@st.composite
def cases(draw):
    """Tracklets in mixed order, 1 to 6 an identity, and arguments that fit them."""
    p, k, world_size = draw(st.integers(2, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    counts = draw(st.lists(st.integers(1, 6), min_size=p * world_size, max_size=p * world_size + 9))
    pids = draw(st.permutations([10 * identity - 20 for identity, count in enumerate(counts) for _ in range(count)]))
    return pids, p, k, draw(st.integers(0, 3)), world_size


def ranks_of(case, epoch):
    pids, p, k, seed, world_size = case
    samplers = [RandomIdentitySampler(pids, p, k, seed, rank, world_size) for rank in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return samplers


@settings(deadline=None)
@given(case=cases(), epoch=st.integers(0, 5))
def test_groups_batches_epochs_and_ranks(case, epoch):
    pids, p, k, _, world_size = case
    samplers = ranks_of(case, epoch)
    tracklets = Counter(pids)
    assert len({len(sampler) for sampler in samplers}) == 1
    assert all(len(list(sampler)) == len(sampler) for sampler in samplers)

    groups = [cut(sampler, k) for sampler in samplers]
    for group in chain(*groups):
        (identity,) = {pids[index] for index in group}
        assert len(group) == k
        assert len(set(group)) >= min(k, tracklets[identity])  # all different, or all that there are

    identities = [[pids[group[0]] for group in of_rank] for of_rank in groups]
    for step in zip(*(cut(of_rank, p) for of_rank in identities), strict=True):
        together = list(chain(*step))
        assert len(set(together)) == len(together)
        assert all(2 <= len(batch) <= p for batch in step)

    order = [identity for column in zip(*identities, strict=True) for identity in column]
    again = len(order) - len(tracklets)
    assert sorted(order[: len(tracklets)]) == sorted(tracklets)
    assert order[len(tracklets) :] == order[:again]
    lonely = -(-len(tracklets) // world_size) % p == 1
    assert again == -len(tracklets) % world_size + lonely * world_size


@settings(deadline=None)
@given(case=cases(), epoch=st.integers(0, 5))
def test_ranks_share_out_what_one_process_would_draw(case, epoch):
    pids, p, k, seed, _ = case
    alone = RandomIdentitySampler(pids, p, k, seed)
    alone.set_epoch(epoch)
    groups = [cut(sampler, k) for sampler in ranks_of(case, epoch)]
    together = [group for column in zip(*groups, strict=True) for group in column]
    n = len(set(pids))
    assert together[:n] == cut(alone, k)[:n]


PIDS = [pid for pid in range(9) for _ in range(5)]


def epoch_of(seed, epoch, pids=PIDS):
    sampler = RandomIdentitySampler(pids, p=3, k=2, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_seed_and_epoch_fix_the_draw_and_nothing_else_does():
    state = torch.get_rng_state()
    draws = {(seed, epoch): epoch_of(seed, epoch) for seed in range(4) for epoch in range(4)}
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert all(epoch_of(*key) == draw for key, draw in draws.items())
    assert len(set(map(tuple, draws.values()))) == len(draws)  # (0, 1) is not (1, 0)


def test_iterating_twice_gives_the_same_epoch():
    sampler = RandomIdentitySampler(PIDS, p=3, k=2)
    assert list(sampler) == list(sampler) == epoch_of(0, 0)


def test_each_tracklet_and_each_place_has_its_turn():
    draws = [epoch_of(0, epoch) for epoch in range(60)]
    assert set().union(*draws) == set(range(len(PIDS)))
    assert {PIDS[draw[0]] for draw in draws} == set(PIDS)


def test_two_tracklets_make_four_as_in_ilids_vid():
    groups = cut(RandomIdentitySampler([0, 0, 1, 1, 2, 2], p=3, k=4), 4)
    assert sorted(sorted(set(group)) for group in groups) == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("convert", [np.array, torch.tensor, tuple])
def test_takes_pids_of_any_integer_kind(convert):
    assert epoch_of(3, 1, convert(PIDS)) == epoch_of(3, 1)


def test_feeds_a_data_loader():
    sampler = RandomIdentitySampler(PIDS, p=4, k=3)
    batches = [batch.tolist() for batch in DataLoader(PIDS, batch_size=12, sampler=sampler)]
    assert [len(batch) for batch in batches] == [12, 12, 6]
    assert list(chain(*batches)) == [PIDS[index] for index in sampler]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 1}, "p is a whole number from 2; got 1"),
        ({"k": 0}, "k is a whole number from 1; got 0"),
        ({"seed": -1}, "seed is a whole number from 0; got -1"),
        ({"world_size": 0}, "world_size is a whole number from 1; got 0"),
        ({"world_size": 2, "rank": 2}, r"rank must be in 0\.\.1 for world_size 2; got 2"),
        ({"rank": -1}, "rank is a whole number from 0; got -1"),
        ({"p": 10}, "need 10 identities; the 45 tracklets have 9; lower p"),
        ({"p": 5, "world_size": 2}, "need 10 identities; the 45 tracklets have 9; lower p or world_size"),
        ({"pids": []}, "the 0 tracklets have 0"),
        ({"pids": [1, None, 2]}, r"pids\[1\] is None; every tracklet needs an integer identity"),
        ({"pids": [1, 2, "3"]}, r"pids\[2\] is '3'"),
        ({"pids": [1.0, 2, 3]}, r"pids\[0\] is 1.0"),
    ],
)
def test_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(InputError, match=message):
        RandomIdentitySampler(**{"pids": PIDS, "p": 3, **arguments})


def test_refuses_a_negative_epoch():
    with pytest.raises(InputError, match="epoch is a whole number from 0; got -1"):
        RandomIdentitySampler(PIDS, p=3).set_epoch(-1)


@settings(deadline=None)
@given(indices=st.lists(st.integers(0, 5), max_size=20))
def test_a_draw_is_its_index_and_counts_those_before_it(indices):
    draws = list(numbered(indices))
    assert draws == indices
    assert [draw.number for draw in draws] == [indices[:place].count(index) for place, index in enumerate(indices)]


@settings(deadline=None)
@given(case=cases(), epoch=st.integers(0, 5))
def test_no_draw_comes_twice_in_an_epoch_on_all_ranks_together(case, epoch):
    draws = [(int(draw), draw.number) for sampler in ranks_of(case, epoch) for draw in sampler]
    assert len(set(draws)) == len(draws)
    counts = Counter(index for index, _ in draws)
    assert set(draws) == {(index, number) for index, count in counts.items() for number in range(count)}


@settings(deadline=None)
@given(case=cases(), epoch=st.integers(0, 5))
def test_ranks_number_draws_as_one_process_would(case, epoch):
    pids, p, k, seed, _ = case
    alone = RandomIdentitySampler(pids, p, k, seed)
    alone.set_epoch(epoch)
    groups = [cut(sampler, k) for sampler in ranks_of(case, epoch)]
    together = [draw.number for column in zip(*groups, strict=True) for group in column for draw in group]
    n = len(set(pids)) * k
    assert together[:n] == [draw.number for draw in alone][:n]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_draw_survives_pickling_and_copying(protocol):
    draw = Draw(7, number=3)
    for again in (pickle.loads(pickle.dumps(draw, protocol)), copy.copy(draw), copy.deepcopy(draw)):
        assert type(again) is Draw
        assert (int(again), again.number) == (7, 3)
    assert list(range(10))[draw] == 7
    assert torch.arange(10)[draw] == 7
    assert np.arange(10)[draw] == 7
