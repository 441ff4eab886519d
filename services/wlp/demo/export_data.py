"""Writes the digits that scikit-learn carries as CSV, and a dirty copy of them.

digits.csv   1797 rows: pixel_0 .. pixel_63 (0..16) and digit, as in sklearn.datasets.load_digits
dirty.csv    the same with missing and impossible cells, duplicated rows and rows of one writers' batch removed
"""

import csv
import pathlib
import sys

import numpy as np
from sklearn.datasets import load_digits


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def dirty(rows, seed):
    """A tenth of the cells missing, a twentieth of the rows out of range, one row in twelve twice."""
    generator = np.random.default_rng(seed)
    spoiled = [list(row) for row in rows]
    for row in spoiled:
        for column in np.flatnonzero(generator.random(64) < 0.10):
            row[column] = "?"
        if generator.random() < 0.05:
            row[int(generator.integers(64))] = 99
    again = generator.choice(len(spoiled), len(spoiled) // 12, replace=False)
    return spoiled + [spoiled[index] for index in again]


def main():
    out = pathlib.Path(sys.argv[1])
    images, digits = load_digits(return_X_y=True)
    header = [f"pixel_{index}" for index in range(images.shape[1])] + ["digit"]
    rows = [[*map(int, image), int(digit)] for image, digit in zip(images, digits)]
    write(out / "digits.csv", header, rows)
    write(out / "dirty.csv", header, dirty(rows, seed=7))
    print(f"{len(rows)} rows of {len(header)} columns")


if __name__ == "__main__":
    main()
