"""What adversarial training brings in four medical tasks, for notebook 18.

    python tests/benchmarks/tasks.py RUNS [TASK ...]

TASK is segmentation, reconstruction, registration or classification; all four if none is named. In a task all
arms have the same patients, networks, learning rate and number of images seen, with three seeds each, and are
judged on the 600 slices of 42 patients that none has seen. The arms of segmentation called few learn
from eight of the patients only, drawn anew for each seed. Each task has its table, RUNS/tasks_TASK.csv, with
a row for each arm, seed and patient; rows go there as an arm is done, and what is there already is not
trained again. The seeds run one after the other, so that a run
that is stopped leaves whole seeds. About a quarter of an hour on one core without bfloat16, the phantoms not
counted.
"""

import csv
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import (
    affine_grid,
    cross_entropy,
    grid_sample,
    l1_loss,
    mse_loss,
    one_hot,
    softplus,
)

from ctgan_utils import data
from ctgan_utils.data.slices import as_batch
from ctgan_utils.grey import to_float
from ctgan_utils.losses import WassersteinGP, semi_supervised
from ctgan_utils.metrics import dice
from ctgan_utils.networks.augmentation import MOVED, STRETCHED
from ctgan_utils.networks.dense import SmallUNet
from ctgan_utils.networks.generators import Generator
from ctgan_utils.networks.translation import PatchCritic
from ctgan_utils.phantom import CLASSES
from ctgan_utils.runtime import UserError, atomic_write, seed_everything
from ctgan_utils.sampling import load_generator, load_shipped, sample
from ctgan_utils.systems import get_experiment, to_dict
from ctgan_utils.tasks import reconstruction, registration, segmentation
from ctgan_utils.tasks.classification import Classifier
from ctgan_utils.tasks.learning import BATCH, applied, learn
from ctgan_utils.training import checkpoints
from ctgan_utils.training.runs import new_trainer

SEEDS, WIDTH = 3, 8
RATE, CRITIC_RATE = 1e-2, 1e-3  # of the U-Nets; of critics, classifiers and a generator
SEEN = {"segmentation": 1_200, "reconstruction": 800, "registration": 800, "classification": 3_200}
PAIRS = 1_200  # that the generator from tissues to slices learns from
FEW, COPIES = 8, 10  # patients of the arms that have few; changed copies of each of their slices
VIEWS, PHOTONS = 32, 200_000.0  # of the scan that is to be cleaned; photons of one detector element
KNOWN = ["tissues", "lesions", "hu"]
LABELLED = 4  # patients of each class whose labels the semi-supervised arms know


def each_patient(groups):
    for patient in groups.unique().tolist():
        yield patient, torch.nonzero(groups == patient)[:, 0]


# segmentation


@torch.random.fork_rng()  # what arms draw afterwards doesn't hang on it
def pairs_made(train, weights, tissues):
    """Slices that pix2pix, as in notebook 16, makes of tissues, having learnt from the training patients."""
    settings = ["learning_rate=1e-3", "critic_learning_rate=1e-3", f"horizon={PAIRS}"]
    system = get_experiment("pix2pix", "lesson", settings)
    if not weights.exists():
        trainer = new_trainer(system, train, 0)
        while trainer.images_seen < PAIRS:
            trainer.train_step()
        about = {"step": trainer.step, "experiment": to_dict(system)}
        atomic_write(weights, checkpoints.pack_weights({"G_ema": trainer.G_ema}, about))
    G, _ = load_generator(weights)
    torch.manual_seed(0)  # of its dropout
    with torch.no_grad():
        parts = tissues.split(100)
        return torch.cat([system.generate(G, {"tissues": part}) for part in parts])


def changed(images, tissues):
    """Slices, float [N, 1, S, S] in [-1, 1], and their tissues, uint8, moved and stretched alike.

    By as much as `augment` does.
    """
    transform = torch.zeros(len(images), 2, 3)
    transform[:, 0, 0], transform[:, 1, 1] = (STRETCHED * torch.randn(2, len(images))).exp()
    transform[:, :, 2] = MOVED * torch.randn(len(images), 2)
    grid = affine_grid(transform, list(images.shape), align_corners=False)
    light = grid_sample(images + 1, grid, align_corners=False) - 1  # black comes in
    drawn = grid_sample(tissues.float(), grid, mode="nearest", align_corners=False)
    return light, drawn.to(torch.uint8)


def changed_copies(images, tissues):
    """COPIES of each slice and its tissues, changed."""
    return changed(images.repeat(COPIES, 1, 1, 1), tissues.repeat(COPIES, 1, 1, 1))


def segmentation_task(train, test, runs):
    organs, real = segmentation.organs_of(train.truth["tissues"]), to_float(train.images)
    true, shown = segmentation.organs_of(test.truth["tissues"]), to_float(test.images)
    kinds = 1 + len(segmentation.ORGANS)

    def arm(seed, images, weight, organs=organs):
        weights = segmentation.organ_weights(organs)
        G, D = SmallUNet(1, kinds, WIDTH), PatchCritic(1 + kinds, WIDTH)

        def maps(i):
            return torch.cat([images[i], one_hot(organs[i], kinds).movedim(3, 1).float()], 1)

        def found(i):
            scores = G(images[i])
            return scores, torch.cat([images[i], scores.softmax(1)], 1)

        def loss_G(i):
            scores, judged = found(i)
            adversarial = weight * softplus(-D(judged)).mean() if weight else 0
            return cross_entropy(scores, organs[i], weights) + adversarial

        def loss_D(i):
            with torch.no_grad():
                judged = found(i)[1]
            return softplus(-D(maps(i))).mean() + softplus(D(judged)).mean()

        both = [(G, loss_G, RATE), (D, loss_D, CRITIC_RATE)][: 1 + bool(weight)]
        learn(both, len(images), SEEN["segmentation"], seed)
        said = applied(G, shown).argmax(1)
        for patient, i in each_patient(test.groups):
            scores = {  # of what the patient has
                name: dice(said[i] == k, true[i] == k) if (true[i] == k).any() else np.nan
                for k, name in enumerate(segmentation.ORGANS, start=1)
            }
            yield {"patient": patient, **scores}

    yield "cross-entropy", lambda seed: arm(seed, real, 0)
    yield "and a critic", lambda seed: arm(seed, real, 0.1)
    yield (
        "on generated slices",
        lambda seed: arm(
            seed, pairs_made(train, runs / "pix2pix-tissues.safetensors", train.truth["tissues"]), 0
        ),
    )

    def few(seed, *added):
        """On FEW patients, and what is added: "changed" copies, slices "generated" from their tissues."""
        patients = train.groups.unique()
        chosen = patients[torch.randperm(len(patients))[:FEW]]
        mine = train[torch.nonzero(torch.isin(train.groups, chosen))[:, 0]]
        tissues = mine.truth["tissues"]
        images = {"": to_float(mine.images)}
        images["changed"], drawn = changed_copies(images[""], tissues)
        drawings = {"": tissues, "changed": drawn, "generated": drawn}
        if "generated" in added:
            weights = runs / f"pix2pix-few-{seed}.safetensors"
            images["generated"] = pairs_made(mine, weights, drawn)
        shown = torch.cat([images[kind] for kind in ("", *added)])
        tissues = torch.cat([drawings[kind] for kind in ("", *added)])
        return arm(seed, shown, 0, segmentation.organs_of(tissues))

    yield "few", lambda seed: few(seed)
    yield "few + copies", lambda seed: few(seed, "changed")
    yield "few + copies + generated", lambda seed: few(seed, "changed", "generated")


# reconstruction


def reconstruction_task(train, test, runs):
    def scanned(ct, seed):
        hu = ct.truth["hu"][:, 0].numpy().astype(np.float32)
        found = reconstruction.scan(hu, VIEWS, PHOTONS, np.random.default_rng(seed))
        return [torch.from_numpy(in_window(x))[:, None] for x in (found, hu)]

    def in_window(hu):
        """[-1, 1] from the window of 40 +- 200 HU."""
        return ((hu - 40) / 200).clip(-1, 1).astype(np.float32)

    (x, y), (shown, true) = scanned(train, 0), scanned(test, 7)
    lesions = test.truth["lesions"][:, 0].numpy()
    kidneys = segmentation.organs_of(test.truth["tissues"]).numpy() == 3
    healthy = test.labels == CLASSES.index("Normal")

    def judged(made):
        made, wanted = (200 * images[:, 0].numpy() + 40 for images in (made, true))
        for patient, i in each_patient(test.groups):
            i = i.numpy()
            kept = [reconstruction.kept_share(made[k], wanted[k], lesions[k]) for k in i]
            kept = [share for share in kept if share == share]
            spots = [reconstruction.largest_spot(made[k], wanted[k], kidneys[k]) for k in i if healthy[k]]
            spots = [spot for spot in spots if spot == spot]
            yield {
                "patient": patient,
                "class": CLASSES[test.labels[i[0]]],
                "error": abs(made[i] - wanted[i])[wanted[i] > -160].mean(),
                "lesions": len(kept),
                "erased": np.mean(np.array(kept) < 0.5) if kept else np.nan,
                "contrast kept": np.median(kept) if kept else np.nan,
                "healthy": len(spots),
                "invented": np.mean(np.array(spots) >= reconstruction.LEAST_CONTRAST) if spots else np.nan,
            }

    def arm(seed, weight):
        G, D = SmallUNet(1, 1, WIDTH), PatchCritic(2, WIDTH)

        def made(i):
            return torch.cat([x[i], x[i] + G(x[i])], 1)

        def loss_G(i):
            fake = made(i)
            adversarial = weight * softplus(-D(fake)).mean() if weight else 0
            return l1_loss(fake[:, 1:], y[i]) + adversarial

        def loss_D(i):
            with torch.no_grad():
                fake = made(i)
            return softplus(-D(torch.cat([x[i], y[i]], 1))).mean() + softplus(D(fake)).mean()

        both = [(G, loss_G, RATE), (D, loss_D, CRITIC_RATE)][: 1 + bool(weight)]
        learn(both, len(x), SEEN["reconstruction"], seed)
        yield from judged((shown + applied(G, shown)).clamp(-1, 1))

    yield "filtered back-projection", lambda seed: judged(shown)
    yield "regression", lambda seed: arm(seed, 0)
    yield "GAN", lambda seed: arm(seed, 0.02)


# registration


def registration_task(train, test, runs):
    size = train.images.shape[-1]

    def posed(ct, kind, seed):
        """(moving, fixed, displacement): two stages of breathing, perhaps with the contrast agent between."""
        first, second = ("images", "images") if kind == "same scan" else ("unenhanced", "arterial")
        batch = as_batch(ct.tensors([first, second]))
        u = registration.breathing(len(ct), size, torch.Generator().manual_seed(seed))
        return batch[first], registration.warp(batch[second], u), u

    def arm(seed, kind, how):
        moving, fixed, u = posed(train, kind, 0)
        net, critic, wasserstein = SmallUNet(2, 2, WIDTH), PatchCritic(2, WIDTH, 2, False), WassersteinGP(10)
        torch.nn.init.normal_(net.last.weight, std=1e-3)  # it begins by moving nothing

        def score(images):
            return critic(images).mean((1, 2))

        def found(i):
            return net(torch.cat([moving[i], fixed[i]], 1))

        def beside(i, v):
            return torch.cat([registration.warp(moving[i], v), fixed[i]], 1)

        def loss_net(i):
            v = found(i)
            if how == "known displacements":
                return mse_loss(v, u[i])
            if how == "critic":
                return wasserstein.generator_loss(score, beside(i, v)) + 0.1 * registration.roughness(v)
            return mse_loss(registration.warp(moving[i], v), fixed[i]) + 0.1 * registration.roughness(v)

        def loss_critic(i):
            with torch.no_grad():
                real, fake = beside(i, u[i]), beside(i, found(i))
            return wasserstein.critic_loss(score, real, fake, torch.rand(len(i), 1, 1, 1))[0]

        both = [(net, loss_net, RATE), (critic, loss_critic, CRITIC_RATE)][: 1 + (how == "critic")]
        learn(both, len(moving), SEEN["registration"], seed)
        moving, fixed, u = posed(test, kind, 7)
        return judged(applied(net, torch.cat([moving, fixed], 1)), u)

    def judged(v, u):
        organs = segmentation.organs_of(test.truth["tissues"])
        for patient, i in each_patient(test.groups):
            errors = [[], []]
            for k in i.tolist():
                for point in registration.landmarks(organs[k]):
                    row, column = registration.place_after(point, u[k])
                    for error, guess in zip(errors, (v[k], torch.zeros_like(v[k]))):
                        error.append((guess - u[k])[:, row, column].norm().item())
            yield {
                "patient": patient,
                "landmarks": len(errors[0]),
                "error": np.mean(errors[0]),
                "before": np.mean(errors[1]),
            }

    yield "same scan: squared error", lambda seed: arm(seed, "same scan", "squared error")
    for how in ("squared error", "critic", "known displacements"):
        yield f"contrast agent: {how}", lambda seed, how=how: arm(seed, "contrast agent", how)


# classification


def classification_task(train, test, runs):
    real = to_float(train.images)
    G, _ = load_shipped("conditional")
    labels = torch.arange(len(CLASSES)).repeat(500)
    made = to_float(sample(G, len(labels), 0, given={"wanted": labels}))
    (synthetic, unseen), (labels, asked) = made.split(1_600), labels.split(1_600)

    def balanced(labels, n, rng):
        """n indices, as many of each class."""
        weights = 1 / labels.bincount(minlength=len(CLASSES))[labels].float()
        return torch.multinomial(weights, n, replacement=True, generator=rng)

    def arm(seed, images, labels):
        rng, C = torch.Generator().manual_seed(seed), Classifier(64, len(CLASSES), WIDTH)

        def loss(_):
            i = balanced(labels, BATCH, rng)
            return cross_entropy(C(images[i]), labels[i])

        learn([(C, loss, CRITIC_RATE)], len(images), SEEN["classification"], seed)
        return judged(C)

    def few(seed, told):
        """With LABELLED patients of each class; and, if told, a generator and all slices without labels."""
        rng, chosen = torch.Generator().manual_seed(seed), []
        for k in range(len(CLASSES)):
            patients = train.groups[train.labels == k].unique()
            chosen.append(patients[torch.randperm(len(patients), generator=rng)[:LABELLED]])
        known = torch.isin(train.groups, torch.cat(chosen))
        images, labels = real[known], train.labels[known]
        if not told:
            return arm(seed, images, labels)
        C, G = Classifier(64, len(CLASSES), WIDTH), Generator(64, 64, 16, stem="conv")

        def loss_C(i):
            j = balanced(labels, BATCH, rng)
            with torch.no_grad():
                fake = G(torch.randn(BATCH, 64))
            return semi_supervised(C(images[j]), labels[j], C(real[i]), C(fake))

        def loss_G(i):
            fake, true = C.features(G(torch.randn(BATCH, 64))), C.features(real[i])
            return mse_loss(fake.mean(0), true.mean(0))  # feature matching (Salimans 2016, 3.1)

        learn([(C, loss_C, CRITIC_RATE), (G, loss_G, CRITIC_RATE)], len(real), SEEN["classification"], seed)
        return judged(C)

    def judged(C):
        said, true = applied(C, to_float(test.images)).argmax(1), test.labels
        for patient, i in each_patient(test.groups):
            right = (said[i] == true[i]).float().mean().item()
            name = CLASSES[true[i[0]]]
            yield {"on": "real", "patient": patient, "class": name, "slices": len(i), "right": right}
        said = applied(C, unseen).argmax(1)
        for k, name in enumerate(CLASSES):
            here = asked == k
            right = (said[here] == k).float().mean().item()
            yield {"on": "synthetic", "patient": -1, "class": name, "slices": int(here.sum()), "right": right}

    yield "real", lambda seed: arm(seed, real, train.labels)
    yield "synthetic", lambda seed: arm(seed, synthetic, labels)
    joined = torch.cat([real, synthetic]), torch.cat([train.labels, labels])
    yield "real and synthetic", lambda seed: arm(seed, *joined)
    yield "few labels", lambda seed: few(seed, False)
    yield "few labels and a GAN", lambda seed: few(seed, True)


def main(runs, names):
    for name in names:
        if name not in SEEN:
            raise UserError(f"{name}: no such task; there are {', '.join(SEEN)}")
    for seed in range(SEEDS):
        for name in names:
            add_seed(runs / f"tasks_{name}.csv", name, arms_of(name, runs), seed)


@cache
def arms_of(name, runs):
    """[(arm, what trains and judges it with a seed)] of a task, on its patients."""
    if name == "registration":
        pair = ["unenhanced", "arterial"]
        train = data.load_phantom(2_400, 64, 0, pair)
        test = data.load_phantom(600, 64, 7, ["tissues", *pair])
    else:
        train, test = (data.load_phantom(n, 64, seed, KNOWN) for n, seed in ((2_400, 1), (600, 7)))
    return list(globals()[f"{name}_task"](train, test, runs))


def add_seed(path, name, arms, seed):
    """Run the arms of a task with a seed and add their rows to its table, but for arms that are there."""
    done = set()
    if path.exists():
        with path.open(newline="") as file:
            done = {(row["arm"], int(row["seed"])) for row in csv.DictReader(file)}
    for arm, run in arms:
        if (arm, seed) in done:
            continue
        seed_everything(seed)
        begun = time.process_time()
        rows = [{"arm": arm, "seed": seed, "seen": SEEN[name], **row} for row in run(seed)]
        lines = [",".join(rows[0])] if not path.exists() else []
        lines += [",".join(shown(value) for value in row.values()) for row in rows]
        before = path.read_bytes() if path.exists() else b""
        atomic_write(path, before + ("\n".join(lines) + "\n").encode())
        print(name, arm, seed, f"{time.process_time() - begun:.0f} s", flush=True)


def shown(value):
    if isinstance(value, (float, np.floating)):
        return "" if value != value else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(SEEN))
