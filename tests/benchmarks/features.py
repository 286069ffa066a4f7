"""Features: images a second against torch-fidelity's own extractor, and what rounding does to distances.

    python tests/benchmarks/features.py [FILE]

FILE holds the weights of the reference network. Without it they are random: He's distribution, and batch
normalisation with the statistics of 48 phantoms, without which all images get nearly the same features. Such
a network enlarges differences of rounding more than a trained one. Ten minutes on two idle cores.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ctgan_utils import metrics, phantom
from ctgan_utils.evaluation import features

BATCH, REPEATS, SLICES = 32, 7, 200


def write_random_weights(path, images):
    """Weights for the reference network, whose statistics are of these images."""
    torch.manual_seed(0)
    torch.save({}, path)
    with patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        network = FeatureExtractorInceptionV3("random", ["2048"], str(path)).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all that it has seen
    with torch.no_grad():
        network(images.expand(-1, 3, -1, -1))
    torch.save(network.state_dict(), path)


def torch_fidelitys(path):
    """A function from images to features, as torch-fidelity computes them."""
    network = FeatureExtractorInceptionV3("theirs", ["2048"], str(path))

    @torch.inference_mode()
    def extract(images):
        return torch.cat([network(x.expand(-1, 3, -1, -1))[0] for x in images.split(BATCH)]).numpy()

    return extract


def ours(extractor, precision):
    return lambda images: features.extract(extractor, images, precision=precision)


def compare_speed(sides, images):
    """The sides {name: function} take turns at the same images; the first round does not count."""
    seconds = {name: [] for name in sides}
    for _ in range(REPEATS + 1):
        for name, extract in sides.items():
            begun = time.perf_counter()
            extract(images)
            seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"  {name:16} {len(images) / median:7.1f} images/s, {first / median:.2f} x", flush=True)


def compare_distances(sides, clean, others):
    """Fréchet distances of each side from clean slices to others {name: images}, against the first."""
    first = {}
    for side, extract in sides.items():
        x = extract(clean)
        for name, images in others.items():
            distance = metrics.frechet_distance(x, extract(images))
            change = distance / first.setdefault(name, distance) - 1
            print(f"  {side:16} to {name}: {distance:.3f}, {change:+.4%}", flush=True)


def main():
    slices = torch.from_numpy(phantom.generate(2 * SLICES, 64, seed=5).images)[:, None]
    clean, other = slices.split(SLICES)
    blurred = functional.avg_pool2d(other.float(), 3, 1, 1).round().to(torch.uint8)
    others = {"other slices": other, "blurred slices": blurred}
    with tempfile.TemporaryDirectory() as temporary:
        path = sys.argv[1] if len(sys.argv) > 1 else str(Path(temporary) / "random.pth")
        if len(sys.argv) == 1:
            write_random_weights(path, slices[::8][:48])
        os.environ["CTGAN_WEIGHTS"] = path
        inception = features.load_extractor("inception")
        sides = {"torch-fidelity": torch_fidelitys(path)}
    sides |= {f"ours, {precision}": ours(inception, precision) for precision in ("fp32", "bf16")}
    print(f"inception, {BATCH} slices:")
    compare_speed(sides, slices[:BATCH])
    print(f"inception, Fréchet distance from {SLICES} clean slices:")
    compare_distances(sides, clean, others)
    ct = features.load_extractor("ct")
    sides = {f"ct, {precision}": ours(ct, precision) for precision in ("fp32", "bf16")}
    print("ct:")
    compare_speed(sides, slices)
    compare_distances(sides, clean, others)


if __name__ == "__main__":
    main()
