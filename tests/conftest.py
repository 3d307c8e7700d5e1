"""Options of the test suite, and examples that are the same in every run."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")


def pytest_addoption(parser):
    """`--update-golden` rewrites the expected output of golden pairs;

    Look at the difference before committing it.
    """
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
