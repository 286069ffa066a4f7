"""What several commands do with their options."""

from argparse import Namespace
from pathlib import Path

from ctgan_utils.data.formats.base import GIGABYTE, Reading
from ctgan_utils.runtime import UserError
from ctgan_utils.training import checkpoints


def reading_of(args: Namespace) -> Reading:
    return Reading(span=args.range, limit=int(args.max_gb * GIGABYTE))


def check_source(option: str, path: Path | str, wanted: str = "a folder of images, or one file") -> None:
    """Raises UserError for a file that holds weights in place of images."""
    if Path(path).suffix.lower() in (".pt", ".pth", ".safetensors"):
        raise UserError(f"{option} {path}: weights, not images; name {wanted}")


def is_generator(path: Path) -> bool:
    return (path / checkpoints.CONFIG).exists() or path.suffix == ".safetensors"


def names_key(weights: Path, key: str) -> bool:
    """True for a safetensors file of ours whose metadata have that key."""
    try:
        return key in checkpoints.read_metadata(weights)
    except UserError:
        return False
