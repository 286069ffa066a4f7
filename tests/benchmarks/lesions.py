"""Lesions found by a network that learnt from few patients, for notebook 19.

    python tests/benchmarks/lesions.py RUNS [SEEDS]

Each of SEEDS (5) draws its own few patients, class by class in turn, of the phantom's. A small U-Net learns
to name the organs and the lesions, always from as many images; judged are 100 patients whom no arm has
seen. The arms differ in what it learns from: the slices of the few patients, unchanged or changed; slices
that pix2pix, which has learnt from these patients alone, makes of their changed tissues; as many new
patients. RUNS/scarce_lesions.csv gets a row for each U-Net as it is done, and what is there is not trained
again. About a quarter of an hour of one core for each seed.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from scarce import PATIENTS, UNSEEN
from tasks import RATE, WIDTH, changed, each_patient, pairs_made
from torch.nn.functional import cross_entropy

from ctgan_utils import data
from ctgan_utils.evaluation.scarce import choose
from ctgan_utils.grey import to_float
from ctgan_utils.metrics import dice
from ctgan_utils.networks.dense import SmallUNet
from ctgan_utils.runtime import atomic_write, seed_everything
from ctgan_utils.tasks.learning import BATCH, applied, learn
from ctgan_utils.tasks.segmentation import ORGANS, organ_weights, organs_of

SIZE, SEEDS, SEEN, MADE = 64, 5, 2_400, 1_000
PHANTOMS = 8_000  # slices, of more than 500 patients
COLUMNS = "arm,patients,seed,organs,lesion"
ARMS = {  # what fills the batches, in equal parts; whether the real slices are changed
    "real": (("few",), False),
    "real, changed": (("few",), True),
    "real and GAN": (("few", "made"), False),
    "both, changed": (("few", "made"), True),
    "as many new patients, changed": (("twice",), True),
}


def pairs(ct):
    """Slices and tissues of a set."""
    return to_float(ct.images), ct.truth["tissues"]


def sources_of(choice, weights):
    """{name: (images, tissues)} that the batches of an arm are made of."""
    few, new = pairs(choice.few), pairs(choice.new)
    tissues = few[1][torch.arange(MADE) % len(few[1])]
    _, tissues = changed(torch.zeros(tissues.shape), tissues)
    made = pairs_made(choice.few, weights, tissues), tissues
    return {"few": few, "made": made, "twice": tuple(map(torch.cat, zip(few, new)))}


def train(sources, is_changed, seed):
    """A U-Net that has learnt from sources, {name: (images, tissues)}."""
    network = SmallUNet(1, 1 + len(ORGANS), WIDTH)
    weights = organ_weights(organs_of(torch.cat([tissues for _, tissues in sources.values()])))
    rng = torch.Generator().manual_seed(seed)

    def loss(_):
        parts = []
        for name, pair in sources.items():
            rows = torch.randint(len(pair[0]), (BATCH // len(sources),), generator=rng)
            part = pair[0][rows], pair[1][rows]
            parts.append(changed(*part) if is_changed and name != "made" else part)
        images, tissues = map(torch.cat, zip(*parts))
        return cross_entropy(network(images), organs_of(tissues), weights)

    learn([(network, loss, RATE)], 1, SEEN, seed)
    return network


def judge(network, ct):
    """Mean Dice over patients: (of the organs, of the lesions), each of what the patient has."""
    said, true = applied(network, to_float(ct.images)).argmax(1), organs_of(ct.truth["tissues"])
    scores = [
        [
            dice(said[i] == k, true[i] == k) if (true[i] == k).any() else np.nan
            for k in range(1, 1 + len(ORGANS))
        ]
        for _, i in each_patient(ct.groups)
    ]
    means = dict(zip(ORGANS, np.nanmean(scores, axis=0)))
    lesion = means.pop("lesion")
    return float(np.mean(list(means.values()))), float(lesion)


def main(folder, seeds=SEEDS):
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table = folder / "scarce_lesions.csv"
    if not table.exists():
        atomic_write(table, f"{COLUMNS}\n".encode())
    with table.open(newline="") as file:
        done = {(row["arm"], int(row["patients"]), int(row["seed"])) for row in csv.DictReader(file)}
    ct = data.load_phantom(PHANTOMS, SIZE, 1, ["tissues"])
    for seed in range(seeds):
        for patients in PATIENTS:
            missing = [arm for arm in ARMS if (arm, patients, seed) not in done]
            if not missing:
                continue
            choice = choose(ct, patients, UNSEEN, seed)
            seed_everything(seed)
            sources = sources_of(choice, folder / f"pix2pix-{patients}-{seed}.safetensors")
            for arm in missing:
                names, is_changed = ARMS[arm]
                seed_everything(seed)
                network = train({name: sources[name] for name in names}, is_changed, seed)
                row = f'"{arm}"', patients, seed, *judge(network, choice.unseen)
                line = ",".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row)
                atomic_write(table, table.read_bytes() + f"{line}\n".encode())
                print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
