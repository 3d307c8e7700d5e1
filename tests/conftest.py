"""Options of the test suite."""


def pytest_addoption(parser):
    """`--update-golden` rewrites the expected output of golden pairs;

    Look at the difference before committing it.
    """
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
