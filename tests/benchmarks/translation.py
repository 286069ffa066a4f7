"""What each term of the loss brings when pix2pix adds a contrast agent, for notebook 16.

    python tests/benchmarks/translation.py RUNS [IMAGES]

Every arm is trained on the same 2,400 slices for the same number of images (12,800 unless IMAGES says
otherwise) with three seeds, at the same rates, and measured on 600 slices of other patients. An added term
weighs about as much in the loss as L1 does after a hundred steps. Rows go to RUNS/translation.csv as they are
done; what is there already is not trained again. RUNS gets the weights of all arms. About an
hour on one core without bfloat16.
"""

import csv
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ctgan_utils import data, metrics
from ctgan_utils.data.slices import as_batch
from ctgan_utils.filters import sobel_magnitude
from ctgan_utils.grey import to_uint8
from ctgan_utils.networks.translation import PatchCritic, UNet
from ctgan_utils.runtime import atomic_write, seed_everything
from ctgan_utils.systems import get_experiment, to_dict
from ctgan_utils.systems.pix2pix import Pix2Pix
from ctgan_utils.training import checkpoints
from ctgan_utils.training.runs import new_trainer

SEEDS, N = 3, 600
SETTINGS = "learning_rate=1e-3", "critic_learning_rate=1e-3"
COLUMNS = ["arm", "seed", "images", "seconds", "error", "edge error", "power dB", "FWD", "FWD floor"]

FIRST: list[nn.Module] = []  # the generator of the arm "GAN", from which auto-context goes on


@dataclass(frozen=True)
class AutoContext(Pix2Pix):
    """A second network, which sees the source and what the first has made of it (Nie 2018)."""

    def networks(self):
        return UNet(self.image_size, 2, self.width), PatchCritic(3, self.width, self.halvings)

    @torch.no_grad()
    def seen(self, batch):
        source = super().seen(batch)
        return torch.cat([source, FIRST[0](source)], dim=1)


def arms(base):
    """{name: system}: pix2pix with one term more, or one less, than the arm called GAN."""
    return {
        "L1 alone": replace(base, adversarial=0.0),
        "GAN": base,
        "gradient differences": replace(base, gradient_difference=500.0),
        "edges (gEa)": replace(base, edges=100.0),
        "edges judged too (dEa)": replace(base, edges=100.0, edges_judged=True),
        "auto-context": AutoContext(**vars(base)),
    }


def high_power(images):
    """Mean power above half of the Nyquist frequency, squared grey levels per pixel."""
    frequency, power = metrics.radial_power_spectrum(images[:, 0].astype(float))
    return power[frequency >= 0.25].mean()


@torch.no_grad()
def translated(system, G, ct):
    """What G makes of slices, uint8 [N, 1, S, S]."""
    seed_everything(0)  # of its dropout
    given = as_batch(ct.tensors(system.given))[system.source]
    return torch.cat([to_uint8(system.generate(G, {system.source: part})) for part in given.split(50)])


def measures(fake, real):
    """Mean absolute errors of grey levels and of slopes inside the body, power at fine detail, FWD."""
    a, b = fake.numpy(), real.numpy()
    inside = b > 0
    slopes = [sobel_magnitude(images) for images in (a, b)]
    return (
        abs(a.astype(float) - b)[inside].mean(),
        abs(slopes[0] - slopes[1])[inside].mean(),
        10 * np.log10(high_power(a) / high_power(b)),
        metrics.wavelet_distance(real, fake),
    )


def main(runs, images=12_800):
    base = get_experiment("pix2pix", "lesson", ["source=unenhanced", "target=arterial", *SETTINGS])
    base = replace(base, horizon=images)
    pair = base.source, base.target
    train, unseen = (data.load_phantom(n, 64, seed, pair) for n, seed in ((2_400, 0), (N, 7)))
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:N]
    real, others = unseen.truth[base.target], train.truth[base.target][chosen]
    floor = metrics.wavelet_distance(real, others)
    table, done = runs / "translation.csv", set()
    if table.exists():
        done = {(row["arm"], int(row["seed"])) for row in csv.DictReader(table.open())}
    else:
        atomic_write(table, (",".join(COLUMNS) + "\n").encode())
    if ("as it is", 0) not in done:
        record(table, "as it is", 0, 0, 0, measures(unseen.truth[base.source], real), floor)
    for seed in range(SEEDS):
        for name, system in arms(base).items():
            weights = runs / f"{name.replace(' ', '-')}-{seed}.safetensors"
            if (name, seed) not in done:
                trainer, seconds = new_trainer(system, train, seed), 0.0
                while trainer.images_seen < images:
                    begun = time.process_time()
                    trainer.train_step()
                    seconds += time.process_time() - begun
                about = {"step": trainer.step, "experiment": to_dict(system)}
                atomic_write(weights, checkpoints.pack_weights({"G_ema": trainer.G_ema}, about))
                found = measures(translated(system, trainer.G_ema, unseen), real)
                record(table, name, seed, trainer.images_seen, round(seconds), found, floor)
            if name == "GAN" and ("auto-context", seed) not in done:
                G, _ = system.networks()
                checkpoints.load_weights(weights, {"G_ema": G})
                FIRST[:] = [G.eval()]


def record(table, name, seed, images, seconds, found, floor):
    with table.open("a", newline="") as file:
        values = (f"{value:.4g}" for value in (*found, floor))
        csv.writer(file, lineterminator="\n").writerow([name, seed, images, seconds, *values])
    print(name, seed, images, seconds, *(f"{value:.3f}" for value in found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
