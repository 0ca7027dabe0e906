"""What a batch works on: a folder, a list (CSV), or a BIDS dataset becomes a list of jobs."""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..io.bids import bids_volumes, find_brain_mask, is_bids, shared_entities
from ..io.dicom.series import is_dicom_file
from ..io.file_names import volume_stem, volume_suffix

_COLUMNS = ("input", "mask", "output")
_MORE_INPUTS = re.compile(r"input([2-9]|1[0-6])")  # further stacks of the child


@dataclass(frozen=True)
class Job:
    """One volume to enhance, or the stacks of one child to combine.

    source: file, or folder of DICOM slices; of several stacks the first one. name: of the result. folder: of the
    result, below the output folder, with "/". mask: brain mask, or None. dataset: root of the BIDS dataset that the
    source belongs to, or None. others: the child's further stacks. other_masks: of these; where there are none, that of
    the first stack serves all.
    """

    source: Path
    name: str
    folder: str = ""
    mask: Path | None = None
    dataset: Path | None = None
    others: tuple[Path, ...] = ()
    other_masks: tuple[Path, ...] = ()

    @property
    def sources(self) -> tuple[Path, ...]:
        """All stacks, the first one first."""
        return self.source, *self.others

    @property
    def masks(self) -> tuple[Path, ...]:
        """Brain masks: none, one for all stacks, or one of each."""
        return () if self.mask is None else (self.mask, *self.other_masks)

    @property
    def key(self) -> str:
        """What no other job of the batch has."""
        return str(PurePosixPath(self.folder) / self.name)


def find_jobs(
    source: str | Path,
    outdir: str | Path,
    pattern: str = "*",
    participants: Collection[str] = (),
    combine: bool = False,
) -> list[Job]:
    """List the volumes of a folder of files or DICOM folders, of a BIDS dataset, or of a CSV file.

    A CSV file has the columns input, and optionally mask and output (the result's name, below the output folder), and
    input2, input3 ... for further stacks of the child, which are combined into one volume; or
    no header and the same order, as the lists of the original project. Paths are relative to its folder, and
    $VARIABLES are replaced. A folder is a BIDS dataset when it has a dataset_description.json, or T2w files in anat
    folders of subjects; its T2w images are enhanced.

    Args:
        source: folder or CSV file.
        outdir: where results will go; nothing below it is a job. Not the source itself.
        pattern: names of the files or DICOM folders to take, for instance "*T2w*".
        participants: labels of the participants of a BIDS dataset to take, with or without "sub-"; empty for all.
        combine: the volumes of one BIDS session, or of one folder, are stacks of one child: one job.

    Returns:
        Jobs, sorted by their results; a volume that is listed twice is one job.

    Raises:
        ValueError: nothing to do, an unreadable list, results among the scans, or two jobs with one result.
    """
    source = Path(source).absolute()
    if not source.exists():
        raise ValueError(f"{source} does not exist; give a folder, a BIDS dataset or a .csv list.")
    if source.is_file():
        if source.suffix.lower() not in (".csv", ".txt"):
            raise ValueError(f"{source.name} is one file; give a folder or a .csv list, or use  segsrgan predict.")
        if combine:
            raise ValueError(
                "--combine is for folders; in a list, the columns input, input2 ... name a child's stacks."
            )
        jobs = _from_table(source)
    elif source.resolve() == Path(outdir).resolve():
        raise ValueError(f"Results in the folder of the scans, {source}, would be taken for scans: use another folder.")
    elif is_bids(source):
        jobs = _from_bids(source)
    else:
        jobs = _from_folder(source, Path(outdir).resolve())
    jobs = [job for job in dict.fromkeys(jobs) if fnmatch(job.source.name, pattern)]
    if not jobs:
        raise ValueError(f"{source} holds no volume to enhance that fits {pattern!r}; check the folder and --pattern.")
    jobs = _of_participants(jobs, participants) if participants else jobs
    jobs = _combined(jobs, source) if combine else jobs
    return sorted(_distinct(jobs), key=lambda job: job.key)


def with_masks(jobs: list[Job], outdir: Path, derivative: Path | None = None) -> list[Job]:
    """Give each volume of a BIDS dataset the brain mask that the dataset, or a derivative of it, has of it.

    Args:
        jobs: see `find_jobs`; masks of a list stay. outdir: where results go; masks that lie there were made by an
        earlier run. derivative: root of the derivative; None for the dataset and all of its derivatives but `outdir`.

    Raises:
        ValueError: a derivative that holds a mask of none of the volumes.
    """
    found = [
        job if job.mask is not None or job.dataset is None else _masked(job, job.dataset, derivative, outdir)
        for job in jobs
    ]
    if derivative is not None and all(job.mask is None for job in found):
        raise ValueError(
            f"{derivative} holds no brain mask (*_desc-brain_mask.nii.gz) of any of these volumes; check --masks."
        )
    return found


def _masked(job: Job, root: Path, derivative: Path | None, outdir: Path) -> Job:
    """A job with the masks that the dataset has; those of further stacks only where it has one of each."""
    mask, *others = [find_brain_mask(path, root, derivative, outdir) for path in job.sources]
    known = tuple(path for path in others if path is not None)
    return replace(job, mask=mask, other_masks=known if mask is not None and len(known) == len(others) else ())


def shard(jobs: list[Job], part: str | None) -> list[Job]:
    """The share of one of several machines.

    Args:
        jobs: all of them. part: "2/5" is the second of five shares; None is everything.

    Raises:
        ValueError: a part that is not "i/n" with 1 <= i <= n.
    """
    if part is None:
        return jobs
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--shard takes i/n, for instance 2/5 for the second of five shares, not {part!r}.")
    return jobs[int(match[1]) - 1 :: int(match[2])]


def _from_table(path: Path) -> list[Job]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name} is not a CSV text ({error}); save it as CSV in UTF-8.") from error
    columns: tuple[str, ...] = _COLUMNS
    if rows and "input" in (header := [cell.lower() for cell in rows[0]]):
        unknown = [name for name in header if name not in _COLUMNS and not _MORE_INPUTS.fullmatch(name)]
        if unknown:
            raise ValueError(
                f"{path.name} has the column {unknown[0]!r}; the columns are input, input2, ..., mask and output."
            )
        columns, rows = tuple(header), rows[1:]
    elif rows and (other := re.match(r"input\d*([;\t])", rows[0][0], re.IGNORECASE)):
        raise ValueError(f"{path.name} separates its columns by {other[1]!r}; save it with commas between them.")
    return [_table_job(dict(zip(columns, row, strict=False)), path) for row in rows]


def _table_job(row: dict[str, str], table: Path) -> Job:
    source = _listed_path(row.get("input", ""), table)
    mask = _listed_path(row["mask"], table) if row.get("mask") else None
    more = sorted((name for name in row if _MORE_INPUTS.fullmatch(name) and row[name]), key=lambda name: int(name[5:]))
    others = tuple(_listed_path(row[name], table) for name in more)
    if not row.get("output"):
        name = os.path.basename(os.path.abspath(source))  # ".." is no name
        return Job(source, volume_stem(name), mask=mask, others=others)
    output = PurePosixPath(row["output"].replace("\\", "/"))
    drive = PureWindowsPath(row["output"]).drive  # "C:/x" is no name below a folder there
    if output.is_absolute() or drive or ".." in output.parts or not output.name:
        raise ValueError(f"{table.name} has the output {row['output']!r}; give a name below the output folder.")
    folder = "" if str(output.parent) == "." else str(output.parent)
    return Job(source, volume_stem(output.name), folder, mask, others=others)


def _listed_path(text: str, table: Path) -> Path:
    return (table.parent / os.path.expandvars(os.path.expanduser(text))).absolute()


def _from_bids(root: Path) -> list[Job]:
    return [
        Job(path, volume_stem(path.name).removesuffix("_T2w"), path.parent.relative_to(root).as_posix(), dataset=root)
        for path in bids_volumes(root)
    ]


def _combined(jobs: list[Job], source: Path) -> list[Job]:
    """One job for all volumes of a BIDS session, or of a folder."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: job.key):
        groups[job.folder].append(job)
    result = []
    for folder, stacks in groups.items():
        others = tuple(job.source for job in stacks[1:])
        place = PurePosixPath(folder)
        if not others:
            result += stacks
        elif stacks[0].dataset is not None:
            result.append(replace(stacks[0], name=shared_entities([job.name for job in stacks]), others=others))
        else:
            parent = "" if str(place.parent) == "." else str(place.parent)
            result.append(replace(stacks[0], name=place.name or source.name, folder=parent, others=others))
    return result


def _of_participants(jobs: list[Job], labels: Collection[str]) -> list[Job]:
    wanted = {f"sub-{label.removeprefix('sub-')}" for label in labels}
    there = {job: job.name.split("_")[0] for job in jobs if job.dataset is not None}
    if missing := sorted(wanted - set(there.values())):
        raise ValueError(
            f"There is no participant {missing[0]} with a T2w image; check the label and the BIDS dataset."
        )
    return [job for job in jobs if there.get(job) in wanted]


def _from_folder(root: Path, outdir: Path) -> list[Job]:
    """The volumes below a folder; outdir: resolved, for it may be named by a link or with ".."."""
    jobs = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith(".") and Path(folder, s).resolve() != outdir)
        where = Path(folder).relative_to(root).as_posix()
        where = "" if where == "." else where
        volumes = [n for n in sorted(names) if volume_suffix(n) and not n.startswith(".")]
        jobs += [Job(Path(folder, name), volume_stem(name), where) for name in volumes]
        if not volumes and any(_has_dicom_mark(Path(folder, name)) for name in sorted(names)):
            parent = PurePosixPath(where).parent
            jobs.append(Job(Path(folder), Path(folder).name, "" if str(parent) == "." else str(parent)))
    return jobs


def _has_dicom_mark(path: Path) -> bool:
    try:
        return path.is_file() and is_dicom_file(path)
    except OSError:
        return False


def _distinct(jobs: list[Job]) -> list[Job]:
    """Results with one name go into folders like their sources', and then keep their sources' extensions."""
    for separated in (_into_folders, _with_extensions):
        jobs = [job for same in _by_key(jobs) for job in (separated(same) if len(same) > 1 else same)]
    for same in _by_key(jobs):
        if len(same) > 1:
            listed = " and ".join(str(job.source) for job in same[:2])
            raise ValueError(f"{listed} would have one result, {same[0].key}; give them outputs in a .csv list.")
    return jobs


def _into_folders(same: list[Job]) -> list[Job]:
    if len({job.source.anchor for job in same}) > 1 or any(job.folder for job in same):
        return same
    common = os.path.commonpath([job.source.parent for job in same])
    folders = [job.source.parent.relative_to(common).as_posix() for job in same]
    return [replace(job, folder="" if f == "." else f) for job, f in zip(same, folders, strict=True)]


def _with_extensions(same: list[Job]) -> list[Job]:
    # in a BIDS name there is no place for the extension
    return [job if job.dataset is not None else replace(job, name=job.source.name) for job in same]


def _by_key(jobs: list[Job]) -> list[list[Job]]:
    # file systems that ignore case must not mix results up
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.key.lower()].append(job)
    return list(groups.values())
