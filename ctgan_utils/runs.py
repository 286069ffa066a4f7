"""From the name of an experiment to a training run and its distance to the data, as the notebooks need it."""

import shutil
from pathlib import Path

import torch

from ctgan_utils import checkpoints, features, metrics
from ctgan_utils.config import get_experiment, get_profile, total_steps
from ctgan_utils.networks import build
from ctgan_utils.runtime import choose_device, choose_precision, seed_everything
from ctgan_utils.sampling import sample
from ctgan_utils.training import Trainer, train


def new_trainer(experiment, ct, seed=0):
    """A Trainer of freshly initialised networks on the slices of a CTImages, on the best device there is."""
    device = choose_device()
    seed_everything(seed)
    dtype = choose_precision("auto", device)
    return Trainer(experiment, *build(experiment), ct.images, seed=seed, device=device, dtype=dtype)


def train_experiment(name, profile, ct, out, seed=0, settings=(), share=1.0):
    """Train an experiment into a folder of its own under out/runs; returns (folder, history).

    share shortens the runs of the short profiles. A run of the thesis profile is always whole, and goes on
    where it stopped; the others start anew.
    """
    e = get_experiment(name, profile, settings)
    steps = total_steps(get_profile(profile), e, len(ct))
    label = "-".join([name, *settings, profile, ct.fingerprint[:6], str(seed)])
    folder = Path(out) / "runs" / label.replace("=", "-")
    if get_profile(profile).steps is not None:
        steps = max(2, round(share * steps))
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints.open_run(folder, e, ct, seed, resume=True)
    trainer = new_trainer(e, ct, seed)
    trainer.load(folder)
    return folder, train(trainer, steps, folder)


def distances(ct, generators, n, seed=0):
    """FD-ct of n samples of each generator {name: G} to n slices, and "floor", that of two sets of n slices.

    ct holds at least 2 n slices; which are taken follows from the seed.
    """
    extractor = features.load_extractor("ct")
    order = torch.randperm(len(ct), generator=torch.Generator().manual_seed(seed))
    real = features.cached_features(extractor, ct.images[order[: 2 * n]])
    found = {"floor": metrics.frechet_distance(real[:n], real[n:])}
    for name, G in generators.items():
        fake = features.extract(extractor, sample(G, n, seed))
        found[name] = metrics.frechet_distance(real[:n], fake)
    return found
