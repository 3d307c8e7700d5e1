"""Processes that compute shards side by side: real ones, that fail, are killed and outlive nobody."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from netdef.diag import EnvironmentFault, MXNetError
from netdef.runtime import memory, tickets
from netdef.runtime.bind import Binder
from netdef.runtime.kernels import quiet
from netdef.runtime.memory import is_shared, zeros
from netdef.runtime.team import Team, shareable
from netdef.runtime.tickets import Tickets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes compute where they can be forked")


@pytest.fixture
def shared(monkeypatch):
    """Arrays are made in memory that forked processes share."""
    monkeypatch.setattr(memory, "_shared", True)


@pytest.fixture
def team():
    made = Team(partial(quiet, np))
    yield made
    made.close()


def count_up(array):
    np.add(array, 1, out=array)


def refuse(number):
    raise ValueError(f"shard {number}")


def children(process=None):
    """The processes that one has started from its main thread and not waited for."""
    process = process or os.getpid()
    return {int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def test_memory_is_shared_where_it_has_to_be(shared):
    """Views are, copies are not."""
    array = zeros(np, (4, 5), "float32")
    assert not array.any()
    assert array.ctypes.data % 64 == 0
    assert is_shared(array)
    assert is_shared(array[1:].T)
    assert not is_shared(array.copy())
    assert shareable([[[(count_up, (array, [array], 3, None))]]])
    assert not shareable([[[(count_up, (array, [array.copy()]))]]])


def test_zeros_take_no_memory_before_they_are_written_to(shared):
    """Those of a solver's history, for instance, or of workspaces that another process uses."""

    def in_use():
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssShmem:")[2].split()[0]) * 1024

    before = in_use()
    array = zeros(np, (2**24,), "uint8")
    assert in_use() < before + 2**20
    array[:] = 1
    assert in_use() >= before + 2**24
    assert not zeros(np, (0, 3), "float32").size


def test_every_shard_is_computed_once(shared, team):
    """By any number of processes, also one that changes."""
    arrays = [zeros(np, (10,), "float64") for _ in range(5)]
    chains = [[(count_up, (array,)), (count_up, (array,))] for array in arrays]
    numbers = [team.add([chains] * processes) for processes in (2, 4, 3, 7, 2)]
    for runs, number in enumerate(numbers, start=1):
        team.run(number)
        assert [array.tolist() for array in arrays] == [[2.0 * runs] * 10] * 5


def test_numpy_does_not_warn_in_a_member(shared, team, recwarn):
    """Infinity and NaN are results."""
    arrays = [zeros(np, (2,), "float64") for _ in range(2)]
    with quiet(np):
        team.run(team.add([[[(np.divide, (array, array, array))] for array in arrays]] * 2))
    assert np.isnan(arrays).all()
    assert not recwarn.list


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("failing", [[0], [1], [0, 1], [2], [1, 2]])
def test_the_first_error_is_raised_and_the_team_goes_on(shared, team, failing, processes):
    array = zeros(np, (1,), "float64")
    chains = [[(refuse, (place,))] if place in failing else [(count_up, (array,))] for place in range(3)]
    bad, good = team.add([chains] * processes), team.add([[[(count_up, (array,))], []]] * 2)
    with pytest.raises(ValueError, match=f"shard {min(failing)}"):
        team.run(bad)
    before = array[0]
    team.run(good)
    assert array[0] == before + 1


def note(array, worker):
    array[0] = worker


def wait_for(array):
    until = time.monotonic() + 30
    while not array[0]:
        assert time.monotonic() < until, "nobody has taken the other shards"
        time.sleep(0.001)


def test_who_is_done_takes_what_others_have_not_begun(shared, team):
    """One process is held up by its first shard until the other one has computed all the rest."""
    taken = [zeros(np, (1,), "int64") for _ in range(5)]
    workers = [
        [[(wait_for, (taken[-1],))], *([(note, (array, worker))] for array in taken)] for worker in (1, 2)
    ]
    team.run(team.add(workers))
    assert len({int(array[0]) for array in taken}) == 1


def test_tickets_are_taken_once_and_in_order():
    """By several by turns, each of which is told that there are none left."""
    pile = Tickets()
    for count, processes in ((3, 2), (0, 1), (1, 3), (300, 2)):
        pile.lay(count, processes)
        takers = [pile.take() for _ in range(processes)]
        taken = [number for turn in itertools.zip_longest(*takers) for number in turn if number is not None]
        assert taken == list(range(count))


def test_a_pile_fits_into_the_smallest_pipe():
    """Laying it down never waits for somebody to take from it."""
    fcntl = pytest.importorskip("fcntl")
    small = Tickets()
    fcntl.fcntl(small._out, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(small._out, False)
    small.lay(tickets.MOST, 64)
    assert list(small.take()) == list(range(tickets.MOST))


def test_more_calls_than_tickets_are_made_several_at_a_time():
    binder = Binder.__new__(Binder)
    binder._plan = SimpleNamespace(workers=2)
    calls = [(count_up, (number,)) for number in range(3 * tickets.MOST + 5)]
    one, other = binder._alike(calls)
    assert one == other
    assert len(one) == tickets.MOST
    assert sorted(number for chain in one for _, (number,) in chain) == list(range(len(calls)))


def test_an_error_that_is_very_long_is_cut(shared, team):
    """That of a member, which somebody has to write down for this process."""
    taken = zeros(np, (1,), "int64")
    here, there = [(wait_for, (taken,))], [(note, (taken, 1)), (refuse, ("x" * 10**6,))]
    with pytest.raises(MXNetError, match="shard xxx"):
        team.run(team.add([[here] * 2, [there] * 2]))


def test_a_member_that_is_killed_is_told_and_replaced(shared, team):
    """No hang, and the next run has new members."""
    arrays = [zeros(np, (1,), "float64") for _ in range(2)]
    number = team.add([[[(count_up, (array,))] for array in arrays]] * 2)
    before = children()
    team.run(number)
    (member,) = children() - before
    os.kill(member, signal.SIGKILL)
    with pytest.raises(EnvironmentFault, match="has ended"):
        team.run(number)
    done = arrays[1][0]
    team.run(number)
    assert arrays[1][0] == done + 1


def test_closing_leaves_no_process(shared):
    """Also where members sleep."""
    before = children()
    made = Team(partial(quiet, np))
    number = made.add([[[], [], []]] * 3)
    made.run(number)
    assert len(children() - before) == 2
    time.sleep(0.05)
    del made
    assert children() == before


def test_a_collection_copies_no_page_that_a_member_shares(shared, team):
    """It would write to each object; once there are no members they are collected like any others."""

    def own(process):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))

    before = children()
    objects = [[] for _ in range(2**18)]
    team.run(team.add([[[], []]] * 2))
    (member,) = children() - before
    taken = own(member)
    gc.collect()
    assert own(member) < taken + 2**21, "the objects have 2^18 times 56 bytes and more"
    assert gc.get_freeze_count() > len(objects)
    team.close()
    assert before or gc.get_freeze_count() == 0


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, None])
def test_members_end_with_the_process_that_has_forked_them(tmp_path, ending):
    """Killed, ended, or at its own end, with several teams."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            import numpy as np
            from functools import partial
            from netdef.runtime.kernels import quiet
            from netdef.runtime.team import Team

            teams = [Team(partial(quiet, np)) for _ in range(3)]
            for team in teams:
                team.run(team.add([[[], []]] * 2))
            print("ready", flush=True)
            sys.stdin.readline()
            """
        )
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], text=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        members = children(process.pid)
        assert len(members) == 3
        if ending:
            process.send_signal(ending)
        else:
            process.stdin.write("end\n")
            process.stdin.flush()
        process.wait(timeout=30)
    until = time.monotonic() + 30
    while any(_lives(member) for member in members):
        assert time.monotonic() < until, "a member lives on"
        time.sleep(0.01)


def _lives(process):
    """Whether there is such a process, other than one that nobody has waited for yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
