"""Machines, folders, names and lists that are in the way."""

from __future__ import annotations

import csv
import json
import os
import shutil
from typing import Any

import numpy as np
import SimpleITK as sitk
from support.faults.table import DONE, Catalogue, Scene
from support.training_brains import table, values

CATALOGUE = Catalogue()
add = CATALOGUE.add
_SMALL_FILES = ("RLIMIT_FSIZE", 4000)  # bytes


def _no_weights(scene: Scene) -> None:
    left = [path.name for path in scene.out.rglob("*") if path.suffix == ".safetensors"]
    assert not left, f"{left} stay"


@add("files that cannot grow: `predict`", "cannot be written", limit=_SMALL_FILES)
def _predict_small(scene: Scene) -> list[Any]:
    return scene.predict(scene.scan())


@add("files that cannot grow: `batch`", "cannot be written", limit=_SMALL_FILES)
def _batch_small(scene: Scene) -> list[Any]:
    return scene.batch(scene.scan("in/a.nii.gz").parent)


@add("files that cannot grow: `train`", "cannot be written", limit=_SMALL_FILES, check=_no_weights)
def _train_small(scene: Scene) -> list[Any]:
    table(scene.folder)
    path = scene.folder / "config.json"
    path.write_text(json.dumps(values(scene.folder, output=str(scene.out))))
    return ["train", path, "--progress", "none"]


@add("files that cannot grow: `models import`", "cannot be written", limit=_SMALL_FILES)
def _import_small(scene: Scene) -> list[Any]:
    return ["models", "import", scene.model, "--name", "mine"]


@add("files that cannot grow: `simulate`", "cannot be written", limit=_SMALL_FILES)
def _simulate_small(scene: Scene) -> list[Any]:
    return ["simulate", scene.scan(), "-o", scene.out / "thick.nii.gz", "--slice-thickness", "4"]


@add("300 MB of memory", "", limit=("RLIMIT_DATA", 300 << 20))
def _little_memory(scene: Scene) -> list[Any]:
    image = sitk.GetImageFromArray(np.random.default_rng(0).random((60, 200, 200), np.float32))
    image.SetSpacing((1.0, 1.0, 2.0))
    path = scene.folder / "a.nii"
    sitk.WriteImage(image, str(path))
    return scene.predict(path, "--patch", "0")


@add("output folder that is a file", "cannot be written")
def _file_as_folder(scene: Scene) -> list[Any]:
    scene.out.write_text("mine")
    return scene.predict(scene.scan())


@add("output folder that is a link to nowhere", "is a link to a place that does not exist")
def _dangling(scene: Scene) -> list[Any]:
    scene.out.symlink_to(scene.folder / "nowhere")
    return scene.predict(scene.scan())


@add("scan that is a link to nowhere", "does not exist")
def _dangling_scan(scene: Scene) -> list[Any]:
    path = scene.folder / "a.nii.gz"
    path.symlink_to(scene.folder / "nowhere.nii.gz")
    return scene.predict(path)


@add("scan that is a link to itself", "does not exist")
def _loop(scene: Scene) -> list[Any]:
    path = scene.folder / "a.nii.gz"
    path.symlink_to(path)
    return scene.predict(path)


@add("scan that is a pipe", "is not a file that can be read")
def _pipe(scene: Scene) -> list[Any]:
    os.mkfifo(scene.folder / "a.nii.gz")
    return scene.predict(scene.folder / "a.nii.gz")


@add("model that is a pipe", "There is no model")
def _pipe_model(scene: Scene) -> list[Any]:
    os.mkfifo(scene.folder / "m.safetensors")
    return scene.predict(scene.scan(), "-m", scene.folder / "m.safetensors")


def _kept(name: str) -> Any:
    def check(scene: Scene) -> None:
        assert (scene.out / name).read_text() == "mine", "a person's file was replaced"

    return check


@add("result that is there already", "--overwrite", check=_kept("a_sr.nii.gz"))
def _there(scene: Scene) -> list[Any]:
    scene.out.mkdir()
    (scene.out / "a_sr.nii.gz").write_text("mine")
    return scene.predict(scene.scan())


@add("folder with the name of a result", "a_sr.nii.gz")
def _folder_there(scene: Scene) -> list[Any]:
    (scene.out / "a_sr.nii.gz").mkdir(parents=True)
    return scene.predict(scene.scan(), "--overwrite")


def _named(title: str, name: str | bytes, says: str = "", status: int = DONE, check: Any = None) -> None:
    @add(title, says, status=status, check=check)
    def make(scene: Scene) -> list[Any]:
        path = scene.folder / os.fsdecode(name.encode() if isinstance(name, str) else name)
        shutil.copy(scene.scan(), path)
        return scene.predict(path)


_named("name with dollar signs: `d$\\frac$.nii.gz`", "d$\\frac$.nii.gz")
_named("name with quotes, blanks and brackets", "a 'b' \"c\" [d] {e} %s.nii.gz")
_named("name that begins with a hyphen, after its folder", "-o.nii.gz")
_named("name of 240 letters", "x" * 240 + ".nii.gz", "", 1)
_named("name in Chinese, Arabic and emoji", "脑_دماغ_🧠.nii.gz")
_named("name with a line break", "a\nb.nii.gz", "unreadable characters", 1)
_named("name that is not UTF-8", b"caf\xe9.nii.gz", "unreadable characters", 1)
_named("name with an unknown ending", "a.minc", "unknown format", 1)


def _cells(scene: Scene) -> None:
    with (scene.out / "summary.tsv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    assert len(rows) == 2
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row), "a formula stands in the table"


@add("name that begins with `=`, in a table", status=DONE, check=_cells)
def _formula(scene: Scene) -> list[Any]:
    return scene.batch(scene.scan("in/=1+1.nii.gz").parent)


def _listed(title: str, says: str, text: str, encoding: str = "utf-8", status: int = 1) -> None:
    """A fault of a list of volumes, beside two sound ones."""

    @add(title, says, status=status)
    def make(scene: Scene) -> list[Any]:
        for number, name in enumerate("ab"):
            scene.scan(f"{name}.nii.gz", number)
        path = scene.folder / "list.csv"
        path.write_bytes(text.encode(encoding))
        return scene.batch(path)


_listed("list with an unknown column", "has the column 'volume'", "input,volume\na.nii.gz,b.nii.gz\n")
_listed("list in UTF-16, as spreadsheets write it", "UTF-8", "input\na.nii.gz\n", "utf-16")
_listed("list with semicolons", "separates its columns by ';'", "input;output\na.nii.gz;x\n")
_listed("list of a file that is not there", "does not exist", "input\nc.nii.gz\n")
_listed("list with an output above the folder", "give a name below", "input,mask,output\na.nii.gz,,../../x\n")
_listed("list with an output `C:/x`", "give a name below", "input,mask,output\na.nii.gz,,C:/x\n")
_listed("list with one output for two volumes", "", "input,mask,output\na.nii.gz,,x\nb.nii.gz,,x\n", status=DONE)
_listed("empty list", "holds no volume", "")
_listed("list with a mark of its encoding and Windows line ends", "", "\ufeffinput\r\na.nii.gz\r\n", status=DONE)


def _only_the_scan(scene: Scene) -> None:
    assert [path.name for path in scene.out.iterdir()] == ["a.nii.gz"]


@add("results in the folder of the scans", "would be taken for scans", check=_only_the_scan)
def _same_folder(scene: Scene) -> list[Any]:
    scene.scan("out/a.nii.gz")
    return scene.batch(scene.out)


def _two_results(scene: Scene) -> None:
    assert len(list(scene.out.glob("*_sr.nii.gz"))) == 2


@add("two formats of one name in a folder", status=DONE, check=_two_results)
def _two_formats(scene: Scene) -> list[Any]:
    image = sitk.ReadImage(str(scene.scan("in/a.nii.gz")))
    sitk.WriteImage(image, str(scene.folder / "in" / "a.nrrd"))
    return scene.batch(scene.folder / "in")
