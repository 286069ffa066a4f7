"""How the samples of a run changed, for a notebook: one row of eight latents for each stop.

    python tests/benchmarks/progress.py RUN NAME

Takes the sheets and the history of a run folder; writes data/results/NAME_progress.png and .csv.
"""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ctgan_utils.data.image_files import SHEET, png
from ctgan_utils.runtime import REPOSITORY, atomic_write

STOPS = 6  # rows at most


def main(run: Path, name: str) -> None:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    images = {row["step"]: row["images"] for row in rows}
    sheets = {int(path.stem.split("-")[1]): path for path in sorted((run / "samples").glob("step-*.png"))}
    stops = [step for step in sheets if step in images][-STOPS:]
    side = round(np.asarray(Image.open(sheets[stops[0]])).shape[0] / 8)  # with the line between
    first = [np.asarray(Image.open(sheets[step]))[:side] for step in stops]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([["step", "images"], *([s, images[s]] for s in stops)])
    results = REPOSITORY / "data" / "results"
    atomic_write(results / f"{name}_progress.png", png(np.concatenate(first)[:-1], SHEET))
    atomic_write(results / f"{name}_progress.csv", table.getvalue().encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
