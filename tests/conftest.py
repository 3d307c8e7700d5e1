"""Options of the test suite, and examples that are the same in every run."""

from hypothesis import settings

from netdef.runtime import pieces, shards, threads

settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")


def pytest_addoption(parser):
    """`--update-golden` rewrites the expected output of golden pairs;

    Look at the difference before committing it.  `--divided` lets three threads compute every batch in shards
    and every other step in pieces, however little there is to do: no number may change.
    """
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
    parser.addoption("--divided", action="store_true", help="divide all work among threads")


def pytest_configure(config):
    if config.getoption("--divided"):
        pieces.SEVERAL = shards.SHORTEST = 1e-15
        shards.FEWEST, shards.RUN, pieces.WAKE = ((1, 0.0),), 0.0, 0.0
        threads.set_threads(3)
