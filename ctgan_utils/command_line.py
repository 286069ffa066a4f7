"""The options of every command, and how a command ends: with what code, and with which one line of error."""

import argparse
import contextlib
import errno
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch

from ctgan_utils.runtime import (
    DEVICES,
    STANDARD_OUTPUT,
    UserError,
    brief,
    nearest,
    printable,
    to_standard_output,
)

try:
    from ctgan_utils import commands, systems
    from ctgan_utils.campaign.plan import MOST_SEEDS
    from ctgan_utils.evaluation import features
    from ctgan_utils.evaluation.ct_features import SIZES
except UserError as error:  # of a system that $CTGAN_SYSTEMS names
    print(f"error: {printable(error)}", file=sys.stderr)
    sys.exit(2)

LARGEST_SEED = 2**32 - 1  # NumPy's and, by way of it, scikit-learn's
MOST_IMAGES = 10**7  # a hundred times the largest collections of CT slices
MOST_PIXELS = 65_535  # a side, as in a JPEG
MOST_STEPS = 10**9  # at a millisecond each, the fastest there are, twelve days
MOST_EPOCHS = 10**6  # ninety times the thesis' longest run
LARGEST = 10**6  # standard deviations or GB: no latent and no machine has so many
LONGEST_MESSAGE = 400  # characters of what argparse says

KEPT = "keep about that share of the slices, whole patients or groups, out of training (default 0.2; 0: none)"
GUESS = "the share that was kept out of training, for generators whose files don't record it"
SOURCES = "phantom, a folder (or one file) of images, kaggle, mednist, or auto for the first of these at hand"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, with the nearest valid option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {brief(message, LONGEST_MESSAGE)}; see {self.prog} --help")


def whole(low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is a whole number between two bounds, both allowed."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # of more than 4,300 digits too
            value = low - 1
        if not low <= value <= high:
            wanted = f"a whole number from {low:,} to {high:,}"
            raise argparse.ArgumentTypeError(f"{brief(text)}: it must be {wanted}")
        return value

    return number


seed, images, pixels = whole(0, LARGEST_SEED), whole(1, MOST_IMAGES), whole(1, MOST_PIXELS)
steps, epochs = whole(1, MOST_STEPS), whole(1, MOST_EPOCHS)


def positive(text: str) -> float:
    value = _float(text)
    if not 0 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be a number above 0, at most {LARGEST:,}")
    return value


def share(text: str) -> float:
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be a number from 0 to below 1")
    return value


def shard(text: str) -> tuple[int, int]:
    """I/N as (I, N), with 1 <= I <= N."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    part, parts = (int(number) for number in match.groups()) if match else (0, 0)
    if not 1 <= part <= parts:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be I/N, such as 2/5 for the second of five")
    return part, parts


def span(text: str) -> tuple[float, float]:
    """LOW:HIGH, two finite numbers, as (low, high)."""
    low, _, high = text.partition(":")
    if not -math.inf < _float(low) < _float(high) < math.inf:
        raise argparse.ArgumentTypeError(
            f"{brief(text)}: it must be two numbers, the lower first, such as -160:240"
        )
    return float(low), float(high)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which no comparison holds for


def source(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name; name a file or a folder")
    return text


def path(text: str) -> Path:
    return Path(source(text))


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m ctgan_utils", description="GANs for CT images: the course's command line."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, about, to=verbs):
        sub = to.add_parser(name, help=about, description=about)
        sub.set_defaults(action=action, parser=sub)
        return sub

    def reads_slices(p):
        p.add_argument(
            "--range",
            type=span,
            metavar="LOW:HIGH",
            help="the numbers that become black and white, such as -160:240 in HU; guessed, and said, "
            "if left out",
        )
        p.add_argument(
            "--max-gb",
            type=positive,
            default=1.0,
            metavar="GB",
            help="the most memory that opening one file may take (default 1)",
        )

    def skips_unreadable(p):
        p.add_argument("--skip-unreadable", action="store_true", help="leave out images that can't be read")

    p = command(
        "phantom", commands.run_phantom, "draw phantoms: image folders by class, index.csv, ground_truth.npz"
    )
    p.add_argument("--n", type=images, default=1000, help="slices")
    p.add_argument("--size", type=pixels, default=128, help="pixels")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=path, required=True)

    kinds = verbs.add_parser("data", help="look at or fetch real data").add_subparsers(
        required=True, metavar="check|kaggle|mednist"
    )
    p = command(
        "check",
        commands.run_data_check,
        "counts, sizes, orientations, duplicates, stacks and unreadable files of a folder",
        kinds,
    )
    p.add_argument("folder", type=path)
    p.add_argument("--json", action="store_true")
    reads_slices(p)
    p = command("kaggle", commands.run_data_kaggle, "fetch CT KIDNEY through kagglehub", kinds)
    p.add_argument("--out", type=path, required=True)
    p = command(
        "mednist", commands.run_data_mednist, "fetch MedNIST's abdominal CT, without an account", kinds
    )
    p.add_argument("--out", type=path, required=True)

    p = command("train", commands.run_train, "train an experiment")
    p.add_argument("experiment", help="one of: " + ", ".join(systems.EXPERIMENTS))
    p.add_argument("--data", type=source, default="phantom", help=SOURCES)
    p.add_argument("--out", type=path, help="run folder; build/runs/EXPERIMENT if left out")
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    total = p.add_mutually_exclusive_group()
    total.add_argument("--steps", type=steps, help="generator steps in total")
    total.add_argument(
        "--epochs", type=epochs, help="passes in total; one is as many steps as there are batches"
    )
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=KEPT)
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the experiment")
    p.add_argument("--resume", action="store_true", help="go on from the last saved state")
    p.add_argument("--dry-run", action="store_true", help="time a few steps, write nothing")
    p.add_argument("--tensorboard", action="store_true", help="log for TensorBoard too, into RUN/tensorboard")
    reads_slices(p)
    skips_unreadable(p)

    p = command(
        "campaign",
        commands.run_campaign,
        "train many experiments on equal terms, and write one table of them",
    )
    p.add_argument("names", nargs="*", metavar="EXPERIMENT", help="what to train, if no --plan says it")
    p.add_argument("--plan", type=path, help="a CSV file: experiment, settings, data, images, seeds")
    p.add_argument(
        "--data",
        type=source,
        action="append",
        default=[],
        metavar="[NAME=]DATA",
        help="where the plan's data of that name lie: " + SOURCES,
    )
    p.add_argument("--images", type=images, help="real images that each run is shown (default 100,000)")
    p.add_argument("--seeds", type=whole(1, MOST_SEEDS), help="runs of each experiment (default 3)")
    p.add_argument("--out", type=path, required=True, help="folder of the campaign; the same again goes on")
    p.add_argument("--minutes", type=positive, help="stop after so many, all saved")
    p.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="do every N-th run only")
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    p.add_argument("--phantoms", type=images, default=17_500, help="slices, where the data are phantom")
    p.add_argument("--n", type=images, default=1_000, help="images in each set that is measured, at most")
    p.add_argument("--critic", action="store_true", help="train new critics too: minutes for each run")
    p.add_argument("--device", choices=DEVICES, default="auto")

    p = command("sample", commands.run_sample, "draw samples of a run")
    p.add_argument("run", type=path)
    p.add_argument("--n", type=images, default=64)
    p.add_argument("--out", type=path, required=True, help="one .png sheet, or a folder for single images")
    p.add_argument("--data", type=source, help="slices to translate, for a run that translates: " + SOURCES)
    p.add_argument("--truncation", type=positive, help="cut the normal latents off at +-T (thesis A.6)")
    p.add_argument("--seed", type=seed, default=0)

    p = command("evaluate", commands.run_evaluate, "measure generated against real images")
    p.add_argument("--real", type=source, default="phantom", help=SOURCES)
    p.add_argument(
        "--fake", type=path, required=True, nargs="+", help="run folders, or folders of images, to rank"
    )
    p.add_argument("--features", default="ct", help="one of: " + ", ".join(features.EXTRACTORS))
    p.add_argument("--n", type=images, help="images in each set; as many as the real ones allow, if left out")
    p.add_argument(
        "--size", type=pixels, help="pixels, for folders of images; those of the first if left out"
    )
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=GUESS)
    p.add_argument("--critic", action="store_true", help="train new critics to tell the sets apart: minutes")
    p.add_argument("--html", type=path, help="write a page with all measures and figures")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--json", action="store_true")
    reads_slices(p)
    skips_unreadable(p)

    p = command("quiz", commands.run_quiz, "a page on which people tell real slices from generated ones")
    p.add_argument("--real", type=source, help=SOURCES)
    p.add_argument(
        "--fake", type=path, help="a run folder, a file that 'export' wrote, or a folder of images"
    )
    p.add_argument("--n", type=whole(2, 1_000), default=40, help="slices, half of them real (default 40)")
    p.add_argument("--out", type=path, help="the page to write, a .html file")
    p.add_argument("--score", type=path, nargs="+", metavar="FILE", help="answers that readers saved")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--json", action="store_true", help="the scores as JSON")
    reads_slices(p)
    skips_unreadable(p)

    p = command("export", commands.run_export, "write the generator of a run as one small file, to share")
    p.add_argument("run", type=path)
    p.add_argument("--out", type=path, required=True, help="a .safetensors file")
    p.add_argument(
        "--bits", type=int, choices=(32, 8), default=32, help="of a weight; 8: a quarter of the size"
    )

    p = command("experiments", commands.run_experiments, "the systems of the thesis as a table")
    p.add_argument("--profile", default="thesis", help="one of: " + ", ".join(systems.PROFILES))

    p = command(
        "course", commands.run_course, "execute every notebook, with figures, numbers and an index page"
    )
    p.add_argument("--data", type=source, default="phantom", help=SOURCES)
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=path, default=Path("build", "course"))

    p = command("notebooks", commands.run_notebooks, "execute the notebooks in place, for committing")
    p.add_argument("names", nargs="*", help="such as 07_small_gan; all if left out")

    p = command("student", commands.run_student, "copy the notebooks with their solutions emptied")
    p.add_argument("--out", type=path, default=Path("student"))

    p = command("features", commands.run_features, "train the network behind FD-ct on phantoms of one size")
    p.add_argument("--size", type=int, choices=SIZES, default=SIZES[0], help="pixels a side")
    p.add_argument("--n", type=images, default=6000, help="phantoms")
    p.add_argument("--steps", type=steps, default=1500)
    p.add_argument("--seed", type=seed, default=1000, help="of patients whom no notebook measures")
    p.add_argument(
        "--out", type=path, help="a .safetensors file; in a checkout, the one that FD-ct reads if left out"
    )
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    args, unknown = build_parser().parse_known_args(_ranges_joined(argv))
    if unknown:
        known = [option for action in args.parser._actions for option in action.option_strings]
        raise UserError(f"{brief(unknown[0])}: no such option; {nearest(unknown[0], known)}")
    args.argv = argv[1:]
    return args


def _ranges_joined(argv: Sequence[str]) -> list[str]:
    """The words with "--range -160:240" as "--range=-160:240": argparse takes "-160:240" for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] == "--range" and re.match(r"-[\d.]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command, that of the process if no words are given; returns the exit code."""
    try:
        if argv is None:
            _take_signals()
        _prepare_streams()
        try:
            args = parse(sys.argv[1:] if argv is None else argv)
            code = args.action(args) or 0
        except SystemExit as end:  # after --help
            code = int(end.code or 0)
        with to_standard_output():
            sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; what was written before is whole")
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        _silence(sys.stdout)
        return 0
    except OSError as error:
        if error.filename == STANDARD_OUTPUT:
            _silence(sys.stdout)
        return _fail(_about_system(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_about_memory(error):
            raise
        reason = brief(str(error).splitlines()[0] if str(error) else "none is left", 120)
        return _fail(
            f"out of memory ({reason}); ask for fewer or smaller images, or a smaller batch or network"
        )


def _fail(message: str) -> int:
    """Say in one line what is wrong; returns the exit code of a failure."""
    with contextlib.suppress(OSError):
        print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    return 2


def _prepare_streams() -> None:
    """Let names in any script be printed on any terminal. Raises UserError if standard output is closed."""
    if sys.stderr is None:  # closed by the caller; a file of ours must not come to stand in its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        raise UserError("standard output: closed; send it to a file, or to /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _take_signals() -> None:
    """Let Ctrl-C and SIGTERM end the command by a KeyboardInterrupt, so that half-written files are removed.

    A second one does not wait for what is still at work. One of several processes that share a run is stopped
    at once by SIGTERM: it may be waiting for the others.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, frame: os._exit(2))
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    if "WORLD_SIZE" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
MENDS = {
    **dict.fromkeys(WRITING, "free some space or choose another place; what was written before is whole"),
    errno.EACCES: "change its permissions, or name another",
    errno.EPERM: "change its permissions, or name another",
    errno.EISDIR: "name a file in it",
    errno.ENOTDIR: "choose another place",
    errno.EEXIST: "choose another place",
    errno.ENOENT: "name another",
    errno.ENAMETOOLONG: "shorten it",
    errno.ELOOP: "name what the link should point to",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENOMEM: "ask for fewer or smaller images, or a smaller batch or network",
}


def _about_system(error: OSError) -> str:
    """What the operating system refuses, of which file or stream, and the mend."""
    place = f"{error.filename}: " if error.filename is not None else ""
    mend = MENDS.get(error.errno or 0, "try again, or name another place")
    return f"{place}{error.strerror or error}; {mend}"


def _silence(stream: Any) -> None:
    """Let a broken stream take what is still in it, so that Python does not complain at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_about_memory(error: Exception) -> bool:
    """True where an allocation failed; PyTorch says so in a RuntimeError on the CPU."""
    said = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(s in str(error) for s in said)
