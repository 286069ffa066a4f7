"""Few patients: what GANs learn from them, what samples are worth, what they give away, for notebook 19.

    python tests/benchmarks/scarce.py FOLDER RUNS [SEEDS]

FOLDER is `python -m ctgan_utils phantom --n 20000 --size 64 --seed 1`, whose slices are halved to 32x32; the
task is to tell whether a contrast agent was given. Of another folder its classes and groups take the place
of contrast and patients, and with one class there is no task; groups of more than MOST slices, which
similarity has chained together out of many patients, are left out, and with few groups there are fewer
unseen ones. Each of SEEDS (3) draws its own patients; the unseen are always the same. Rows are written as
they are done, and what is there is not trained again: RUNS/scarce.csv (a row for each GAN),
scarce_curves.csv (on its way), scarce_task.csv (a row for each classifier). RUNS gets the generators. A
quarter of a minute of one core for each GAN.
"""

import csv
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import avg_pool2d

from ctgan_utils import data, metrics
from ctgan_utils.data.slices import CTImages
from ctgan_utils.evaluation import scarce
from ctgan_utils.networks.augmentation import augment
from ctgan_utils.phantom import CLASSES
from ctgan_utils.phantom.patients import draw_patient
from ctgan_utils.runtime import atomic_write
from ctgan_utils.sampling import SYSTEM_OF, load_generator, sample
from ctgan_utils.systems import get_experiment, to_dict
from ctgan_utils.training import checkpoints
from ctgan_utils.training.runs import new_trainer

SIZE, PHANTOM_SEED = 32, 1
SIDES_SEED, SIDES_PATIENTS = 1_000, 80  # from whom it is learnt which side is left
PATIENTS, UNSEEN = (5, 10, 20, 50, 200), 100
MOST = 300  # slices of a group; a larger one is of many patients
IMAGES, STOPS, SAMPLES, CLASSIFIER_STEPS = 6_400, 4, 1_000, 150
ADAPTIVE = "policy=diffaugment", "target=0.6", "reach=2000"
GANS = {"GAN": (), "GAN, DiffAugment": ("policy=diffaugment",), "GAN, adaptive": ADAPTIVE}
MORE = {  # (patients, settings) of what is compared at one number of patients only
    "batch of 64": (20, ("batch_size=64",)),
    "flips, one in two": (20, ("policy=flips", "probability=0.5")),
    "flips, one in four": (20, ("policy=flips", "probability=0.25")),
}
TASK = {  # what fills the batches of a classifier, in equal parts; whether it is changed
    "real": (("few",), False),
    "real, changed": (("few",), True),
    "real and GAN": (("few", "GAN"), False),
    "real and GAN, DiffAugment": (("few", "GAN, DiffAugment"), False),
    "both, changed": (("few", "GAN, DiffAugment"), True),
    "GAN, DiffAugment alone": (("GAN, DiffAugment",), False),
    "as many new patients": (("twice",), False),
    "as many new patients, changed": (("twice",), True),
}
COLUMNS = {
    "scarce": [
        "arm",
        "patients",
        "seed",
        "slices",
        "images",
        "seconds",
        "FWD",
        "FWD of the patients",
        "copied",
    ]
    + ["ratio", "mirrored"]
    + [f"{who} {what}" for who in ("generator", "critic") for what in ("AUC", "low", "high", "control")],
    "scarce_curves": ["arm", "patients", "seed", "images", "FWD", "sign", "probability"],
    "scarce_task": ["arm", "patients", "seed", "accuracy"],
}


def with_contrast(ct):
    """The same slices with the labels that say whether the patient was given a contrast agent."""
    names = sorted(map(str, range(len(ct.groups.unique()))))  # as load_folder numbers them
    phase = torch.tensor([draw_patient(PHANTOM_SEED, int(name)).phase for name in names])
    classes = "without contrast agent", "with contrast agent"
    return CTImages(ct.images, (phase > 0).long()[ct.groups], classes, ct.groups, ct.grouped_by, ct.source)


class Tables:
    """The three tables, a file each, to which rows are added."""

    def __init__(self, folder):
        self.folder, self.done = folder, {}
        for name, columns in COLUMNS.items():
            path = folder / f"{name}.csv"
            if not path.exists():
                atomic_write(path, (",".join(columns) + "\n").encode())
            rows = csv.DictReader(path.open())
            self.done[name] = {(row["arm"], int(row["patients"]), int(row["seed"])) for row in rows}

    def add(self, table, *row):
        shown = [f"{value:.4g}" if isinstance(value, float) else value for value in row]
        with (self.folder / f"{table}.csv").open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(shown)
        print(table, *shown, flush=True)


def sides(ct):
    """A classifier of left and right: it says of images which share of them is mirrored."""
    rows = scarce.pixels(avg_pool2d(torch.cat([ct.images, ct.images.flip(-1)]).float(), 2)) / 255
    model = LogisticRegression(C=0.01, max_iter=200).fit(rows, np.repeat([0, 1], len(ct)))
    return lambda images: float(model.predict(scarce.pixels(avg_pool2d(images.float(), 2)) / 255).mean())


def train(tables, arm, settings, choice, patients, seed, weights, mirrored):
    """A GAN on the few patients, and its rows."""
    fixed = f"image_size={SIZE}", f"classes={len(choice.few.classes)}"
    system = get_experiment("scarce", "lesson", [*fixed, *settings])
    trainer, seconds, real = new_trainer(system, choice.few, seed), 0.0, choice.unseen.images
    wanted = choice.few.labels[
        torch.arange(SAMPLES) % len(choice.few)
    ]  # the classes as often as they have them
    drawn = {**system.noise(SAMPLES, torch.Generator().manual_seed(0)), "wanted": wanted}
    for stop in range(1, STOPS + 1):
        signs = []
        while trainer.images_seen < IMAGES * stop // STOPS:
            begun = time.process_time()
            signs.append(trainer.train_step()["sign"].item())
            seconds += time.process_time() - begun
        G = trainer.G_ema
        SYSTEM_OF[G] = system
        made = sample(G, SAMPLES, given=drawn)
        distance = metrics.wavelet_distance(real, made)
        probability = trainer.D.adaptive.probability.item()
        tables.add(
            "scarce_curves", arm, patients, seed, trainer.images_seen, distance, np.mean(signs), probability
        )
    about = {"step": trainer.step, "experiment": to_dict(system)}
    atomic_write(weights, checkpoints.pack_weights({"G_ema": G}, about))
    found = [scarce.pixels(images) for images in (made, choice.few.images, real)]
    one = metrics.one_of_each(choice.unseen.groups.numpy(), np.random.default_rng(0))
    own = metrics.wavelet_distance(real, choice.few.images)
    copied = metrics.copied_share(found[0], found[1], found[2])
    ratio = metrics.memorisation_ratio(found[0], found[1], found[2][one])
    attacks = [
        scarce.attack(lambda ct: metrics.nearness(scarce.pixels(ct.images), found[0]), choice),
        scarce.attack(partial(scarce.critic_scores, system, trainer.D.eval()), choice),
    ]
    values = [x for a in attacks for x in (a.auc, *a.interval, a.control)]
    head = arm, patients, seed, len(choice.few), trainer.images_seen, round(seconds)
    tables.add("scarce", *head, distance, own, copied, ratio, mirrored(made), *values)


def judge(tables, choice, patients, seed, folder):
    """The classifiers of one seed and number of patients."""
    missing = [arm for arm in TASK if (arm, patients, seed) not in tables.done["scarce_task"]]
    if not missing:
        return
    few, new = ((ct.images, ct.labels) for ct in (choice.few, choice.new))
    sources = {"few": few, "twice": tuple(torch.cat(pair) for pair in zip(few, new))}
    classes = len(choice.few.classes)
    wanted = torch.arange(SAMPLES) % classes
    for arm in ("GAN", "GAN, DiffAugment"):
        G, system = load_generator(folder / f"{arm}-{patients}-{seed}.safetensors")
        sources[arm] = sample(G, SAMPLES, seed=1, given={"wanted": wanted}), wanted
    for arm in missing:
        names, changed = TASK[arm]
        learnt = [sources[name] for name in names]
        change = partial(augment, probability=0.5) if changed else None
        network = scarce.train_classifier(learnt, classes, CLASSIFIER_STEPS, seed, change)
        tables.add("scarce_task", arm, patients, seed, scarce.balanced_accuracy(network, choice.unseen))


def main(source, folder, seeds=3):
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tables, ct = Tables(folder), data.load(source, SIZE)
    phantoms = ct.grouped_by == "patient" and ct.classes == CLASSES
    ct = with_contrast(ct) if phantoms else ct[torch.nonzero(ct.groups.bincount()[ct.groups] <= MOST)[:, 0]]
    groups = len(ct.groups.unique())
    unseen = min(UNSEEN, groups // 3)
    most = (groups - unseen) // 2
    print(f"{ct.source}: {len(ct):,} slices of {groups}, {unseen} of them unseen", flush=True)
    mirrored = sides(scarce.choose(ct, min(SIDES_PATIENTS, most), unseen, SIDES_SEED).new)
    share = mirrored(scarce.choose(ct, PATIENTS[0], unseen).unseen.images)
    print(f"real unseen slices called mirrored: {share:.3f}", flush=True)

    def run(arm, patients, settings, seed):
        weights = folder / f"{arm}-{patients}-{seed}.safetensors"
        if (arm, patients, seed) not in tables.done["scarce"]:
            choice = scarce.choose(ct, patients, unseen, seed)
            train(tables, arm, settings, choice, patients, seed, weights, mirrored)

    for seed in range(seeds):
        for patients in (n for n in PATIENTS if n <= most):
            for arm, settings in GANS.items():
                run(arm, patients, settings, seed)
            if len(ct.classes) > 1:
                judge(tables, scarce.choose(ct, patients, unseen, seed), patients, seed, folder)
    for seed in range(seeds):
        for arm, (patients, settings) in MORE.items():
            run(arm, patients, settings, seed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
