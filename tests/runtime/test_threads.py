"""The pool: every piece runs once, the first failure arrives, and the pool goes on."""

import multiprocessing
import threading

import pytest

from netdef.runtime.threads import Threads, set_threads


class Guard:
    """A context that notes its threads."""

    def __init__(self):
        self.entered = []

    def __call__(self):
        return self

    def __enter__(self):
        self.entered.append(threading.get_ident())

    def __exit__(self, *error):
        pass


@pytest.fixture
def pool():
    pool = Threads(3)
    yield pool
    pool.close()


def test_every_piece_runs_once(pool):
    """Whatever thread takes it; helpers enter the guard, the caller is within one already."""
    for count in (1, 2, 3, 50):
        done, guard = [], Guard()
        pool.run(guard, [(done.append, (number,)) for number in range(count)])
        assert sorted(done) == list(range(count))
        assert len(guard.entered) == min(count, 3) - 1
        assert threading.get_ident() not in guard.entered


def test_pieces_run_side_by_side(pool):
    """Three that wait for each other all arrive."""
    barrier = threading.Barrier(3, timeout=60)
    pool.run(Guard(), [(barrier.wait, ())] * 3)


def test_the_first_failure_arrives(pool):
    """As if the pieces ran one after the other, and after all are done; then the pool works on."""
    done = []

    def fail(number):
        done.append(number)
        raise ValueError(f"piece {number}")

    with pytest.raises(ValueError, match="piece 1"):
        pool.run(Guard(), [(done.append, (0,)), *((fail, (number,)) for number in (1, 2, 3))])
    assert sorted(done) == [0, 1, 2, 3]
    pool.run(Guard(), [(done.append, (4,))] * 2)
    assert done.count(4) == 2


def in_child(pool, results):
    done = []
    pool.run(Guard(), [(done.append, (number,)) for number in range(5)])
    results.put(sorted(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_starts_its_own_threads(pool):
    """Threads do not survive a fork; without new ones the child would wait for ever."""
    pool.run(Guard(), [(int, ())] * 3)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=in_child, args=(pool, results))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert results.get() == [0, 1, 2, 3, 4]


def test_there_is_at_least_one_thread():
    """Otherwise nothing would run."""
    with pytest.raises(ValueError, match="at least one thread, not 0"):
        set_threads(0)
