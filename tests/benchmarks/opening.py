"""The picture that README.md opens with: real slices, ct-128's and the Small GAN's.

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
    real = data.load_phantom(300, 128, UNSEEN).images[::50]
    generated = {name: sample(load_shipped(name)[0], 6) for name in ("ct-128", "small")}
    rows = {"real slices": real, "ct-128": generated["ct-128"], "Small GAN": generated["small"]}
    with tempfile.TemporaryDirectory() as folder:
        caption = "Slices of 128×128 pixels, Small GAN 64×64; the first six latents of seed 0, not selected."
        save_figure(samples_figure(rows, caption, scale=1.8), "opening", folder)
        shutil.copy(Path(folder, "figures", "opening.png"), REPOSITORY / "data" / "results")


if __name__ == "__main__":
    main()
