"""What a campaign is to train: a table of systems, data, images to see, and seeds."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from ctgan_utils.runtime import UserError, brief
from ctgan_utils.systems import System, get_experiment
from ctgan_utils.systems.base import LONGEST_RUN

MOST_SEEDS = 1_000


@dataclass(frozen=True)
class Entry:
    """One line of a plan: an experiment on one set of data, trained with seeds 0, 1, ... up to seeds - 1."""

    experiment: str
    settings: str  # "field=value field=value", on top of the profile's
    data: str  # a name of the set; where it lies is said on the command line
    images: int  # real images that the critic is shown, at least
    seeds: int

    @property
    def name(self) -> str:
        """The experiment with its settings, as the table shows it."""
        return f"{self.experiment} {self.settings}".strip()

    def system(self, profile: str) -> System:
        """The system at a profile's scale. One whose rates fall lets them fall over this entry's images.

        Raises UserError for an unknown experiment or setting.
        """
        asked = self.settings.split()
        system = get_experiment(self.experiment, profile, asked)
        is_set = any(setting.startswith("horizon=") for setting in asked)
        return replace(system, horizon=self.images) if system.horizon and not is_set else system


@dataclass(frozen=True)
class Run:
    """One run of a plan."""

    entry: Entry
    seed: int

    @property
    def folder(self) -> str:
        """The name of its folder."""
        words = [self.entry.experiment, *self.entry.settings.split(), self.entry.data, str(self.seed)]
        return "-".join(words).replace("=", "-")


@dataclass(frozen=True)
class Plan:
    """Entries, in the order of the table."""

    entries: tuple[Entry, ...]

    def runs(self) -> Iterator[Run]:
        """Every run, seed 0 of all entries first: a campaign that is cut short still compares all."""
        for seed in range(max(entry.seeds for entry in self.entries)):
            yield from (Run(entry, seed) for entry in self.entries if seed < entry.seeds)

    def as_csv(self) -> bytes:
        """The table that read_plan reads."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *map(astuple, self.entries)])
        return text.getvalue().encode()


COLUMNS = tuple(f.name for f in fields(Entry))


def checked(entries: Sequence[Entry], profile: str, where: str) -> Plan:
    """The plan of these entries. Raises UserError, beginning with where, for one that can't be trained."""
    if not entries:
        raise UserError(f"{where}: plans nothing; add a line {','.join(COLUMNS)}")
    seen: set[str] = set()
    for entry in entries:
        try:
            entry.system(profile)
        except UserError as error:
            raise UserError(f"{where}: {entry.name}: {error}") from None
        if not re.fullmatch(r"[\w.-]+", entry.data):
            mend = "write a name of letters, digits, - and _, and say where it lies with --data NAME=FOLDER"
            raise UserError(f"{where}: data {brief(entry.data)}: {mend}")
        folder = Run(entry, 0).folder
        if folder in seen:
            raise UserError(f"{where}: {entry.name} on {entry.data} is planned twice; keep one line")
        seen.add(folder)
    return Plan(tuple(entries))


def read_plan(path: Path, profile: str) -> Plan:
    """The plan in a CSV file with the columns experiment, settings, data, images and seeds.

    Raises UserError that names the file, the line and the mend for anything else.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a table in UTF-8"
        raise UserError(f"{path}: can't be read ({reason}); name a plan, a CSV file") from None
    if not rows or tuple(name.strip() for name in rows[0]) != COLUMNS:
        raise UserError(f"{path}: line 1 must be {','.join(COLUMNS)}")
    lines = [(number, [cell.strip() for cell in row]) for number, row in enumerate(rows, 1) if any(row)]
    return checked([_entry(row, f"{path}: line {number}") for number, row in lines[1:]], profile, str(path))


def _entry(row: Sequence[str], where: str) -> Entry:
    if len(row) != len(COLUMNS):
        raise UserError(f"{where} has {len(row)} columns, not {len(COLUMNS)}: {', '.join(COLUMNS)}")
    experiment, settings, data, *numbers = row
    if not data:
        raise UserError(f"{where} names no data; write phantom, or a name of your own")
    images, seeds = (
        _whole(text, most, f"{where}: {name}")
        for text, most, name in zip(numbers, (LONGEST_RUN, MOST_SEEDS), COLUMNS[3:])
    )
    return Entry(experiment, " ".join(settings.split()), data, images, seeds)


def _whole(text: str, most: int, what: str) -> int:
    if not text.isdecimal() or not 1 <= len(text) <= 13 or not 1 <= int(text) <= most:
        raise UserError(f"{what} {brief(text)}: it must be a whole number from 1 to {most:,}")
    return int(text)
