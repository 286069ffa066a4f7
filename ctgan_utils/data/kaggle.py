"""CT KIDNEY (Islam et al., Scientific Reports 12:11440, 2022), the data of the thesis, from Kaggle."""

import os
import shutil
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from ctgan_utils.data.image_files import class_of, image_files
from ctgan_utils.phantom import CLASS_COUNTS, CLASSES
from ctgan_utils.runtime import UserError, reason_of

DATASET = "nazmul0087/ct-kidney-dataset-normal-cyst-tumor-and-stone"
EXPECTED = dict(zip(CLASSES, CLASS_COUNTS))
BY_HAND = "or download the set in a browser and name its folder"


def download(out: Path | str) -> dict[str, int]:
    """Fetch the slices into a folder, unless they are there; returns the number of each class.

    An interrupted download goes on where it stopped. A token comes from the environment (KAGGLE_API_TOKEN, or
    KAGGLE_USERNAME and KAGGLE_KEY); nothing is ever asked for. Raises UserError when kagglehub or the network
    is missing, when the token is refused, or when a class is not complete.
    """
    out = Path(out)
    counts = _counts(out)
    if counts != EXPECTED:
        _fetch(out)
        counts = _counts(out)
    if counts != EXPECTED:
        raise UserError(f"{out}: {counts} slices, expected {EXPECTED}; delete the folder and try again")
    return counts


def _counts(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    try:
        return dict(sorted(Counter(class_of(path, folder) for path in image_files(folder)).items()))
    except UserError:  # nothing in it yet
        return {}


def _fetch(out: Path) -> None:
    try:
        import kagglehub
    except ImportError:
        raise UserError("kagglehub is not installed: run 'pip install kagglehub' and try again") from None
    # kagglehub resumes a download in its cache, but not one into a folder of the caller's choice
    partial = out / ".partial"
    try:
        with patch.dict(os.environ, KAGGLEHUB_CACHE=str(partial)):
            fetched = Path(kagglehub.dataset_download(DATASET))
    except Exception as error:  # its own, requests' and the operating system's
        reason = reason_of(error)
        if reason.startswith(("401", "403")):
            mend = f"Kaggle refuses the token: make a new one and set KAGGLE_API_TOKEN, {BY_HAND}"
        else:
            mend = f"check the network and run it again: it goes on where it stopped; {BY_HAND}"
        raise UserError(f"{DATASET}: download failed ({reason}); {mend}") from None
    for entry in list(fetched.iterdir()):
        os.replace(entry, out / entry.name)
    shutil.rmtree(partial)
