"""Batches that are made ahead are those that are made in turn; no end of any kind leaves a thread or an open generator."""

import gc
import threading
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import ContextVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nlreid
from nlreid import Tracklet, embed
from nlreid.embedding.prefetch import prefetched
from nlreid.errors import InputError

PATIENCE = 60  # seconds, after which a test that waits for another thread fails; none waits so long

pytestmark = pytest.mark.usefixtures("one_thread", "no_thread_left")


@pytest.fixture
def no_thread_left():
    yield
    assert "nlreid-prefetch" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nlreid.create_model("test_r3d_nl").eval()


def tracklet(number, frames=4, **facts):
    generator = np.random.default_rng(number)
    return Tracklet(str(number), [generator.integers(0, 256, (8, 4, 3), dtype=np.uint8) for _ in range(frames)], **facts)


class Source:
    """A generator of things, and what became of it: whether it was closed, and in which thread it ran and was closed."""

    def __init__(self, things, error=None):
        self.things, self.error, self.given, self.ended, self.threads = things, error, 0, False, set()

    def __iter__(self):
        return self.generator()

    def generator(self):
        try:
            for thing in self.things:
                self.threads.add(threading.current_thread())
                self.given += 1
                yield thing
            if self.error is not None:
                raise self.error
        finally:
            self.threads.add(threading.current_thread())
            self.ended = True


# --- the same items


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.one_of(st.none(), st.integers()), max_size=9), ahead=st.integers(0, 4))
def test_items_come_in_order(items, ahead):
    source = Source(items)
    assert list(prefetched(source, ahead)) == items
    assert source.ended


@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 13), min_size=1, max_size=5),
    batch_size=st.integers(1, 5),
    prefetch=st.integers(1, 4),
)
def test_embeddings_are_those_of_one_thread_bit_for_bit(model, lengths, batch_size, prefetch):
    people = [tracklet(number, frames, pid=number, camid=1) for number, frames in enumerate(lengths)]
    batches = []
    handle = model.register_forward_pre_hook(lambda _module, inputs: batches.append(inputs[0].clone()))
    ahead, in_turn = (
        embed(model, iter(people), batch_size=batch_size, prefetch=count, progress=False) for count in (prefetch, 0)
    )
    handle.remove()
    assert torch.equal(ahead.features, in_turn.features)
    assert (ahead.tracks, ahead.pids.tolist()) == (in_turn.tracks, in_turn.pids.tolist())
    half = len(batches) // 2
    assert all(torch.equal(one, other) for one, other in zip(batches[:half], batches[half:], strict=True))


def test_pictures_on_disk_are_read_in_the_thread(model, tmp_path, monkeypatch):
    people = [tracklet(number) for number in range(3)]
    files = []
    for person in people:
        paths = [tmp_path / f"{person.name}_{place}.png" for place in range(len(person))]
        for path, frame in zip(paths, person.frames, strict=True):
            Image.fromarray(frame).save(path)
        files.append(Tracklet(person.name, paths))
    threads, read = set(), Tracklet.read

    def watched(self, *arguments):
        threads.add(threading.current_thread().name)
        return read(self, *arguments)

    monkeypatch.setattr(Tracklet, "read", watched)
    assert torch.equal(embed(model, files, progress=False).features, embed(model, people, prefetch=0, progress=False).features)
    assert threads == {"nlreid-prefetch", threading.current_thread().name}


def test_the_network_and_the_bar_stay_in_the_calling_thread(model, capsys):
    source, ran = Source([tracklet(number) for number in range(5)]), set()
    handle = model.register_forward_hook(lambda *_: ran.add(threading.current_thread()))
    embed(model, source, batch_size=2)
    handle.remove()
    assert ran == {threading.current_thread()}
    assert len(source.threads) == 1
    assert ran.isdisjoint(source.threads)
    assert "5 tracklets" in capsys.readouterr().err


def test_without_prefetching_there_is_no_thread(model):
    source = Source([tracklet(number) for number in range(5)])
    embed(model, source, prefetch=0, progress=False)
    assert source.threads == {threading.current_thread()}


def test_the_thread_has_what_its_reader_has():
    """The context variables, and that no gradients are wanted: a generator may run a network of its own."""
    variable = ContextVar("variable", default="unset")

    def items():
        yield variable.get(), torch.is_inference_mode_enabled()

    variable.set("set")
    assert list(prefetched(items(), 1)) == [("set", False)]
    with torch.inference_mode():
        assert list(prefetched(items(), 1)) == [("set", True)]


# --- how many there are


class Thing:
    pass


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_no_more_than_asked_for_are_made_ahead(ahead):
    alive, most = weakref.WeakSet(), []

    def make():
        for _ in range(20):
            thing = Thing()
            alive.add(thing)
            most.append(len(alive))
            yield thing
            del thing

    with closing(prefetched(make(), ahead)) as things:
        for thing in things:
            most.append(len(alive))
            assert thing in alive
            del thing
    assert max(most) <= ahead + 1  # and the one that the reader has
    assert not alive


def test_the_thread_makes_as_many_as_there_is_room_for():
    """Without being asked again: the reader works on the first item until the third is there."""
    third = threading.Event()

    def make():
        yield 1
        yield 2
        third.set()
        yield 3

    with closing(prefetched(make(), 2)) as items:
        assert next(items) == 1
        assert third.wait(PATIENCE)
        assert list(items) == [2, 3]


@pytest.mark.parametrize("prefetch", [1, 2])
def test_of_a_long_video_a_bounded_number_of_tracklets_and_batches_is_alive(model, prefetch):
    """Two clips a tracklet and two a batch: a batch ahead is a tracklet ahead."""
    tracklets, batches, most = weakref.WeakSet(), weakref.WeakSet(), {"tracklets": 0, "ahead": 0}
    given = done = 0

    def people():
        nonlocal given
        for number in range(30):
            most["tracklets"] = max(most["tracklets"], len(tracklets))
            person = tracklet(number, frames=8)
            tracklets.add(person)
            given += 1
            most["ahead"] = max(most["ahead"], given - done)
            yield person
            del person

    def seen(_module, inputs):
        nonlocal done
        batches.add(inputs[0])
        assert len(batches) == 1
        done += 1

    handle = model.register_forward_pre_hook(seen)
    assert len(embed(model, people(), batch_size=2, prefetch=prefetch, progress=False)) == 30
    handle.remove()
    assert most["tracklets"] == 0  # those before are gone when the next one is made
    assert most["ahead"] <= prefetch + 1  # `done` counts the batch that runs when it begins
    assert not tracklets
    assert not batches


# --- how it ends


class OddError(Exception):
    pass


@pytest.mark.parametrize("error", [OddError("odd"), KeyboardInterrupt(), GeneratorExit(), SystemExit(3), MemoryError()])
@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_of_the_thread_comes_in_its_turn_as_it_is(ahead, error):
    source = Source([1, 2, 3], error)
    items = prefetched(source, ahead)
    assert [next(items) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error
    assert traceback.extract_tb(caught.tb)[-1].name == "generator"  # where it was raised
    assert source.ended
    assert len(source.threads) == 1


@pytest.mark.parametrize("prefetch", [0, 1, 2])
def test_an_error_between_tracklets_closes_the_generator(model, prefetch):
    source = Source([tracklet(1), tracklet(2), "no tracklet", tracklet(3)])
    with pytest.raises(InputError, match="'no tracklet'"):
        embed(model, source, batch_size=1, prefetch=prefetch, progress=False)
    assert source.ended
    assert source.given == 3


@pytest.mark.parametrize("prefetch", [0, 1, 2])
@pytest.mark.parametrize("error", [OddError, KeyboardInterrupt])
def test_an_error_of_the_network_closes_the_generator_where_it_ran(model, prefetch, error):
    source = Source([tracklet(number) for number in range(50)])
    generator = source.generator()  # held here, as a caller may

    def fail(_module, _inputs):
        raise error

    handle = model.register_forward_pre_hook(fail)
    with pytest.raises(error):
        embed(model, generator, batch_size=2, prefetch=prefetch, progress=False)
    handle.remove()
    assert source.ended
    assert source.given <= 2 * (prefetch + 1)
    assert len(source.threads) == 1
    assert (threading.current_thread() in source.threads) == (prefetch == 0)


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize("taken", [0, 1, 2, 5])
def test_who_reads_no_further_leaves_nothing_open(ahead, taken):
    source = Source(range(100))
    items = prefetched(source, ahead)
    for _ in range(taken):
        next(items)
    items.close()
    assert source.ended == (taken > 0)  # nothing began before the first was asked for
    assert source.given <= taken + ahead


def test_a_thread_in_the_middle_of_a_long_item_does_not_finish_it(monkeypatch):
    """As one decodes frame after frame until a person has passed: it is not waited for."""
    monkeypatch.setattr(nlreid.embedding.prefetch, "GRACE", 0.0)
    begun, closed = threading.Event(), []

    def items():
        try:
            yield 1
            while True:
                begun.set()
        finally:
            closed.append(threading.current_thread().name)

    things = prefetched(items(), 1)
    assert next(things) == 1
    assert begun.wait(PATIENCE)
    things.close()
    assert closed == ["nlreid-prefetch"]


def test_a_thread_in_the_middle_of_a_short_item_finishes_it():
    """It may be in the middle of a file that would be left open."""
    begun, wanted, steps = threading.Event(), threading.Event(), []

    def items():
        yield 1
        begun.set()
        assert wanted.wait(PATIENCE)
        steps.append("finished")
        yield 2
        steps.append("went on")

    things = prefetched(items(), 2)
    assert next(things) == 1
    assert begun.wait(PATIENCE)
    wanted.set()
    things.close()
    assert steps == ["finished"]


def test_a_thread_that_takes_no_notice_of_its_end_ends_all_the_same(monkeypatch):
    monkeypatch.setattr(nlreid.embedding.prefetch, "GRACE", 0.0)
    begun, noticed = threading.Event(), []

    def items():
        yield 1
        try:
            while True:
                begun.set()
        except GeneratorExit:
            noticed.append(True)

    things = prefetched(items(), 1)
    assert next(things) == 1
    assert begun.wait(PATIENCE)
    things.close()
    assert noticed == [True]


def test_under_a_debugger_it_goes_on():
    read, before = [], threading.gettrace()
    threading.settrace(lambda *_: None)
    try:  # in a thread of its own, so that it fails and does not wait for ever
        reader = threading.Thread(target=lambda: read.extend(prefetched(iter("abc"), 2)), daemon=True)
        reader.start()
        reader.join(PATIENCE)
    finally:
        threading.settrace(before)
    assert read == ["a", "b", "c"]


def test_an_error_while_it_is_closed_does_not_hide_why():
    def items():
        try:
            while True:
                yield 1
        finally:
            raise OddError("while closing")

    def read():
        with closing(prefetched(items(), 2)) as things:
            for _ in things:
                raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        read()


def test_what_an_error_left_is_let_go(model):
    reference = None

    def people():
        nonlocal reference
        person = tracklet(1)
        reference = weakref.ref(person)
        yield person
        raise OddError

    gc.disable()  # there is no cycle of references that only it could break
    try:
        with pytest.raises(OddError):
            embed(model, people(), batch_size=1, progress=False)
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"prefetch": -1}, {"autocast": torch.float32}, {"device": "quantum"}], ids=str
)
def test_arguments_are_refused_before_anything_begins(model, wrong):
    source = Source([tracklet(1)])
    with pytest.raises(InputError):
        embed(model, source, progress=False, **wrong)
    assert source.threads == set()


# --- beside others


def test_several_threads_may_embed_at_once(model):
    people = [[tracklet(10 * group + number, 9) for number in range(4)] for group in range(4)]
    expected = [embed(model, group, batch_size=3, prefetch=0, progress=False).features for group in people]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda group: embed(model, group, batch_size=3, progress=False).features, people))
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


def test_the_number_of_threads_of_torch_is_left_as_it_is(model):
    for threads in (1, 2):
        torch.set_num_threads(threads)
        embed(model, [tracklet(1)], progress=False)
        assert torch.get_num_threads() == threads
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == threads
    torch.set_num_threads(1)


class Embedding(torch.utils.data.Dataset):
    """Embeds in a worker process, as features that are made for a data set on the fly."""

    def __init__(self, model):
        self.model = model

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return embed(self.model, [tracklet(index, 9)], batch_size=2, progress=False).features[0]


def test_a_worker_of_a_data_loader_may_embed(model):
    loader = torch.utils.data.DataLoader(Embedding(model), batch_size=None, num_workers=1, timeout=PATIENCE)
    expected = [embed(model, [tracklet(index, 9)], batch_size=2, progress=False).features[0] for index in range(2)]
    assert torch.equal(torch.stack(list(loader)), torch.stack(expected))
