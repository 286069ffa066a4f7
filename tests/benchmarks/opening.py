"""The picture that README.md opens with: real slices, ct-64's and the Small GAN's.

python tests/benchmarks/opening.py
"""

import shutil
import tempfile
from pathlib import Path

from ctgan_utils import data
from ctgan_utils.figures import save_figure
from ctgan_utils.figures.comparison import samples_figure
from ctgan_utils.runtime import REPOSITORY
from ctgan_utils.sampling import load_shipped, sample

UNSEEN = 7  # seed of the phantoms: none of their patients has been trained on


def main() -> None:
    real = data.load_phantom(400, 64, UNSEEN).images[::50]
    generated = {name: sample(load_shipped(name)[0], 8) for name in ("ct-64", "small")}
    rows = {"real slices": real, "ct-64": generated["ct-64"], "Small GAN": generated["small"]}
    with tempfile.TemporaryDirectory() as folder:
        caption = "Phantoms of 64×64 pixels; the first eight latents of seed 0, not selected."
        save_figure(samples_figure(rows, caption), "opening", folder)
        shutil.copy(Path(folder, "figures", "opening.png"), REPOSITORY / "data" / "results")


if __name__ == "__main__":
    main()
