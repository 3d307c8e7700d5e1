"""Makes reverse.npz: rows of ten digits, labelled with the same digits from back to front.

`python make_data.py` in this folder writes the file that is here.
"""

from pathlib import Path

import numpy as np

DIGITS, STEPS = 10, 10
TRAIN, TEST = 2000, 500


def make() -> dict[str, np.ndarray]:
    """The arrays of the file: `train_data`, `train_label`, `test_data` and `test_label`, uint8."""
    rows = np.random.default_rng(1).integers(0, DIGITS, (TRAIN + TEST, STEPS), dtype=np.uint8)
    train, test = rows[:TRAIN], rows[TRAIN:]
    return {
        "train_data": train,
        "train_label": train[:, ::-1],
        "test_data": test,
        "test_label": test[:, ::-1],
    }


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("reverse.npz"), **make())
