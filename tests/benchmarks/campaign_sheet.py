"""The first eight samples of each line of a campaign, one under the other, for a notebook.

    python tests/benchmarks/campaign_sheet.py CAMPAIGN DATA NAME

CAMPAIGN is the folder of `campaign`; DATA a name of its plan, whose systems have images of one size. Writes
data/results/NAME.png, a row for each line with that data in the order of the plan, all of seed 0.
"""

import sys
from pathlib import Path

import numpy as np

from ctgan_utils.campaign.plan import Run, read_plan
from ctgan_utils.campaign.table import PLAN, SHEET, folder_of
from ctgan_utils.data.image_files import grid_png, read_grid
from ctgan_utils.runtime import REPOSITORY, atomic_write


def main(campaign: Path, data: str, name: str) -> None:
    entries = [entry for entry in read_plan(campaign / PLAN, "lesson").entries if entry.data == data]
    rows = [
        read_grid(folder_of(campaign, Run(entry, 0)) / SHEET, entry.system("lesson").image_size)[0]
        for entry in entries
    ]
    atomic_write(REPOSITORY / "data" / "results" / f"{name}.png", grid_png(np.concatenate(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
