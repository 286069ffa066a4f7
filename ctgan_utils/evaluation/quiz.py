"""The visual test (thesis 4.3.3) as one page that works from a file, and what its readers' answers tell."""

import base64
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ctgan_utils import metrics
from ctgan_utils.data.image_files import png
from ctgan_utils.outputs import mark
from ctgan_utils.runtime import UserError

FORMAT = 1  # of the file of answers
TEMPLATE = Path(__file__).with_name("quiz.html")


def quiz_page(real: Tensor, fake: Tensor, about: str, seed: int = 0) -> bytes:
    """A page, bytes, that shows slices of both kinds, uint8 [N, 1, S, S], one by one in random order.

    The reader says of each whether it is real, by a click or a key, and saves the answers as a small file in
    the end. about is a sentence on where the slices come from. The page needs no network and no other file.
    """
    images = torch.cat([real, fake])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    slices = [
        {
            "generated": int(k) >= len(real),
            "png": base64.b64encode(png(images[k, 0].numpy())).decode(),
        }
        for k in order
    ]
    contents = {"format": FORMAT, "quiz": secrets.token_hex(6), "about": about, "slices": slices}
    coded = base64.b64encode(json.dumps(contents).encode()).decode()  # not to be read in passing
    text = TEMPLATE.read_text(encoding="utf-8")
    return text.replace("<!-- mark -->", mark("quiz")).replace("CONTENTS", coded).encode()


class Answers(NamedTuple):
    """What one reader said of the slices of one quiz."""

    reader: str
    quiz: str
    generated: np.ndarray  # bool [N]: the truth
    said: np.ndarray  # bool [N]: called generated

    @property
    def right(self) -> int:
        return int((self.generated == self.said).sum())


def read_answers(path: Path) -> Answers:
    """The answers that a page saved. Raises UserError for another file."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["format"] != FORMAT:
            raise ValueError("another format")
        answers = saved["answers"]
        generated, said = (np.array([a[key] for a in answers], dtype=object) for key in ("generated", "said"))
        if not answers or any(not isinstance(value, bool) for value in (*generated, *said)):
            raise ValueError("no answers")
        reader, quiz = str(saved["reader"]).strip() or path.stem, str(saved["quiz"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "not the answers that a quiz saved"
        raise UserError(f"--score {path}: {reason}; name files saved at the end of a quiz") from None
    return Answers(reader, quiz, generated.astype(bool), said.astype(bool))


def scores(readers: Sequence[Answers]) -> dict[str, Any]:
    """What readers of one quiz come to: each one's accuracy, fooled share and d', all together, agreement.

    Plain values. Raises UserError for answers of different quizzes, or a reader named twice.
    """
    first = readers[0]
    for other in readers[1:]:
        if other.quiz != first.quiz or not np.array_equal(other.generated, first.generated):
            raise UserError(f"--score: {first.reader} and {other.reader} answered different quizzes")
    names = [reader.reader for reader in readers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"--score: two files are of reader {min(twice)}; leave one out, or rename the reader")
    truth = first.generated
    fooled = np.sum([~reader.said[truth] for reader in readers], axis=0)
    places = np.flatnonzero(truth)
    order = sorted(range(len(places)), key=lambda k: (-fooled[k], places[k]))
    shares = [reader.right / len(truth) for reader in readers]
    interval = metrics.mean_interval(shares)
    return {
        "slices": len(truth),
        "generated": int(truth.sum()),
        "readers": [_of_one(reader) for reader in readers],
        "mean_accuracy": float(np.mean(shares)),
        "mean_accuracy_interval": interval and (max(0.0, interval[0]), min(1.0, interval[1])),
        "kappa": _kappa(readers),
        "taken_for_real": [
            {"slice": int(places[k]) + 1, "readers": int(fooled[k])} for k in order if fooled[k]
        ],
    }


def _of_one(reader: Answers) -> dict[str, Any]:
    truth, said = reader.generated, reader.said
    made, real = int(truth.sum()), int((~truth).sum())
    fooled, hits, alarms = int((~said[truth]).sum()), int(said[truth].sum()), int(said[~truth].sum())
    return {
        "reader": reader.reader,
        "right": reader.right,
        "accuracy_interval": metrics.binomial_interval(reader.right, len(truth)),
        "generated_taken_for_real": fooled,
        "fooled_interval": metrics.binomial_interval(fooled, made) if made else None,
        "d_prime": metrics.d_prime(hits, made, alarms, real) if made and real else None,
    }


def _kappa(readers: Sequence[Answers]) -> float | None:
    if len(readers) < 2:
        return None
    said = np.sum([reader.said for reader in readers], axis=0)
    kappa = metrics.fleiss_kappa(np.stack([said, len(readers) - said], axis=1))
    return kappa if np.isfinite(kappa) else None
