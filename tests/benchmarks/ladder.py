"""From the Small GAN to ct-64, one change a step, and back to its loss, for notebook 14.

    python tests/benchmarks/ladder.py FOLDER RUNS [IMAGES]

FOLDER holds phantoms of 64x64 (`phantom --n 20000 --seed 1 --out FOLDER`). Every step is trained with the
same real images seen (48,000 unless IMAGES says otherwise) and three seeds, without a fifth of the patients,
and measured on slices of these. The floor is what slices of the other patients measure. Rows go to
RUNS/ladder.csv as they are done, 64 samples of each to RUNS; what is there already is not trained again. Two
to three hours on one core with bfloat16.
"""

import csv
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from ctgan_utils import data, metrics
from ctgan_utils.data.image_files import SHEET, grid_png, png
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.evaluate import by_neighbours
from ctgan_utils.grey import to_uint8
from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.generators import Generator
from ctgan_utils.runtime import atomic_write
from ctgan_utils.systems import get_experiment
from ctgan_utils.systems.ct import RelativisticGAN
from ctgan_utils.systems.thesis import ThesisGAN
from ctgan_utils.training.runs import new_trainer

SEEDS, N = 3, 1_000  # n of every measure
COLUMNS = ["step", "seed", "images", "seconds", "FD-ct", "floor", "FWD", "FWD floor", "precision", "recall"]


@dataclass(frozen=True)
class OnThesisNetworks(RelativisticGAN):
    """The loss of ct-64 on the networks of the step before."""

    def networks(self):
        G = Generator(self.image_size, self.z_dim, self.width, stem_channels=128, upsampling="resize")
        return G, ConvCritic(self.image_size, self.critic_width)

    def noise(self, n, rng):
        return {"z": super().noise(n, rng)["z"]}

    def generate(self, G, batch):
        return G(batch["z"])


@dataclass(frozen=True)
class WithoutGrain(RelativisticGAN):
    def generate(self, G, batch):
        return G(batch["z"], torch.zeros_like(batch["grain"]))


@dataclass(frozen=True)
class WassersteinOnWavelets(ThesisGAN):
    """The loss of the first steps on the networks of the last."""

    def networks(self):
        return get_experiment("ct-64", "lesson").networks()

    def noise(self, n, rng):
        return get_experiment("ct-64", "lesson").noise(n, rng)

    def generate(self, G, batch):
        return G(batch["z"], batch["grain"])


def ladder(images):
    """{step: its system}, each with one change to the one before."""
    small = get_experiment("small", "lesson")
    ct = replace(get_experiment("ct-64", "lesson"), horizon=images, augmentation=0.0)
    names = "width", "critic_width", "batch_size", "horizon"
    alike = {name: getattr(small, name) for name in ("critic_steps", "learning_rate", "beta1", "beta2")}
    relativistic = dict(zip(names, (16, 16, 64, images)))
    wavelets = dict(zip(names, (ct.width, ct.critic_width, 64, images)))
    return {
        "Small GAN": small,
        "wide stem": replace(small, stem_channels=128),
        "resize convolutions": replace(small, stem_channels=128, upsampling="resize"),
        "falling rates": replace(small, stem_channels=128, upsampling="resize", horizon=images),
        "relativistic loss": OnThesisNetworks("relativistic", **relativistic),
        "wavelets, residual blocks": WithoutGrain("wavelets", **wavelets),
        "grain": RelativisticGAN("grain", **wavelets),
        "batches of 32": ct,
        "Wasserstein loss again": WassersteinOnWavelets(
            "again", batch_size=32, horizon=images, critic_learning_rate=small.critic_learning_rate, **alike
        ),
    }


def sheet_name(step, seed):
    return f"{step.replace(',', '').replace(' ', '-')}-{seed}.png"


@torch.no_grad()
def samples(system, G, seed):
    noise = system.noise(N, torch.Generator().manual_seed(seed))
    parts = zip(*(tensor.split(50) for tensor in noise.values()))
    return torch.cat([to_uint8(system.generate(G, dict(zip(noise, part)))) for part in parts])


def main(folder, runs, images=48_000):
    train, held_out = data.split(data.load(folder, 64), 0.2)
    rng = torch.Generator().manual_seed(0)
    real, others = (ct[torch.randperm(len(ct), generator=rng)[:N]] for ct in (held_out, train))
    extractor = features.load_extractor("ct")
    table, done = runs / "ladder.csv", set()
    if table.exists():
        done = {(row["step"], int(row["seed"])) for row in csv.DictReader(table.open())}
    else:
        atomic_write(table, (",".join(COLUMNS) + "\n").encode())
    embedded = features.extract(extractor, real.images)
    floors = (
        metrics.frechet_distance(embedded, features.extract(extractor, others.images)),
        metrics.wavelet_distance(real.images, others.images),
    )
    for seed in range(SEEDS):
        for name, system in ladder(images).items():
            if (name, seed) in done:
                continue
            trainer, seconds = new_trainer(system, train, seed), 0.0
            while trainer.images_seen < images:
                begun = time.process_time()
                trainer.train_step()
                seconds += time.process_time() - begun
            fake = samples(system, trainer.G_ema, seed)
            found = features.extract(extractor, fake)
            alone = torch.arange(N)  # samples have no patients
            measures = by_neighbours(embedded, found, real.groups, alone, seed)
            row = [
                name, seed, trainer.images_seen, round(seconds),
                *(f"{value:.4g}" for value in (
                    metrics.frechet_distance(embedded, found), floors[0],
                    metrics.wavelet_distance(real.images, fake), floors[1],
                    measures["precision"], measures["recall"],
                )),
            ]  # fmt: skip
            atomic_write(runs / sheet_name(name, seed), grid_png(fake[:64]))
            with table.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
            print(*row, flush=True)
    sheets = [PIL.Image.open(runs / sheet_name(name, 0)) for name in ladder(images)]
    first_rows = np.concatenate([np.asarray(sheet)[:65] for sheet in sheets])[:-1]
    atomic_write(runs / "ladder.png", png(first_rows, SHEET))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
