"""Does growing pay? ProGAN and the same networks at full size from the first step, for notebook 17.

    python tests/benchmarks/growing.py FOLDER RUNS [SECONDS]

FOLDER holds phantoms (`phantom --n 20000 --seed 1 --out FOLDER`), which are read at 32x32. Both arms have the
same networks, rates and batches, and train for equal seconds of one thread (240 unless SECONDS says
otherwise), without a fifth of the patients; three seeds. A growing network sees more images in that time,
since small ones cost less: 8x8, 16x16 and the fading in of both larger sizes take five phases of PHASE
images, and what time is left is spent at 32x32. Measured on 1,000 slices of the patients left out. Rows go
to RUNS/growing.csv as they are done, 64 samples of each to RUNS; what is there already is not trained again.
"""

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from ctgan_utils import data, metrics
from ctgan_utils.data.image_files import grid_png
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.evaluate import by_neighbours
from ctgan_utils.grey import to_uint8
from ctgan_utils.runtime import atomic_write
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import new_trainer

SEEDS, N, SIDE = 3, 1_000, 32
COLUMNS = "arm", "seed", "images", "seconds", "FWD", "floor", "precision", "recall"
PHASE = 3_000  # images


def arms():
    """{name: system}, which differ in the size at which they begin."""
    growing = replace(get_experiment("progressive", "lesson"), image_size=SIDE, width=8, phase=PHASE)
    growing = replace(growing, ema_half_life=1_000, learning_rate=3e-3, critic_learning_rate=3e-3)
    return {"growing": growing, "full size": replace(growing, first_side=SIDE)}


@torch.no_grad()
def samples(system, G, seed):
    z = system.noise(N, torch.Generator().manual_seed(seed))["z"]
    return torch.cat([to_uint8(system.generate(G, {"z": part})) for part in z.split(100)])


def trained(system, train, seed, seconds):
    """A trainer after that many seconds of processor time, and the time itself."""
    trainer, begun = new_trainer(system, train, seed), time.process_time()
    while time.process_time() - begun < seconds:
        trainer.train_step()
    return trainer, time.process_time() - begun


def main(folder, runs, seconds=240):
    train, held_out = data.split(data.load(folder, SIDE), 0.2)
    rng = torch.Generator().manual_seed(0)
    real, others = (ct[torch.randperm(len(ct), generator=rng)[:N]] for ct in (held_out, train))
    extractor = features.load_extractor("ct")
    embedded = features.extract(extractor, real.images)
    floor = metrics.wavelet_distance(real.images, others.images)
    table, done = runs / "growing.csv", set()
    if table.exists():
        done = {(row["arm"], int(row["seed"])) for row in csv.DictReader(table.open())}
    else:
        atomic_write(table, (",".join(COLUMNS) + "\n").encode())
    for seed in range(SEEDS):
        for arm, system in arms().items():
            if (arm, seed) in done:
                continue
            trainer, took = trained(system, train, seed, seconds)
            fake = samples(system, trainer.G_ema, seed)
            alone = torch.arange(N)  # samples have no patients
            found = by_neighbours(embedded, features.extract(extractor, fake), real.groups, alone, seed)
            values = metrics.wavelet_distance(real.images, fake), floor, found["precision"], found["recall"]
            row = [arm, seed, trainer.images_seen, round(took), *(f"{value:.4g}" for value in values)]
            atomic_write(runs / f"{arm.replace(' ', '-')}-{seed}.png", grid_png(fake[:64]))
            with table.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
            print(*row, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
