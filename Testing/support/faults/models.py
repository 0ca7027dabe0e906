"""Model files and configurations that are damaged, foreign or hostile."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from support.faults.table import Catalogue, Scene
from support.training_brains import table, values

CATALOGUE = Catalogue()
add = CATALOGUE.add
ORIGINAL = Path(__file__).parents[2] / "models" / "data" / "original-plain.h5"


def _changed(title: str, says: str, change: Callable[[bytes], bytes]) -> None:
    """A fault of the bytes of a sound model."""

    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        path = scene.folder / "m.safetensors"
        path.write_bytes(change(scene.model.read_bytes()))
        return scene.predict(scene.scan(), "-m", path)


def _described(title: str, says: str, change: Callable[[dict[str, Any]], None]) -> None:
    """A fault of the description in a sound model."""

    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        path, (header, _) = scene.folder / "m.safetensors", _parts(scene.model)
        description = json.loads(header["__metadata__"]["segsrgan"])
        change(description)
        save_file(load_file(scene.model), path, {"segsrgan": json.dumps(description)})
        return scene.predict(scene.scan(), "-m", path)


def _weights(title: str, says: str, factor: float) -> None:
    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        path, (header, _) = scene.folder / "m.safetensors", _parts(scene.model)
        tensors = {name: value.copy() for name, value in load_file(scene.model).items()}
        tensors["output.weight"] = np.full_like(tensors["output.weight"], factor)
        save_file(tensors, path, header["__metadata__"])
        return scene.predict(scene.scan(), "-m", path)


def _trained(title: str, says: str, **changes: Any) -> None:
    """A fault of a training's configuration."""

    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        table(scene.folder)
        path = scene.folder / "config.json"
        path.write_text(json.dumps(values(scene.folder, output=str(scene.out), **changes)))
        return ["train", path, "--progress", "none"]


def _parts(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


_changed("model cut off", "is damaged", lambda c: c[:-100])
_changed("model of 0 bytes", "is damaged", lambda c: b"")
_changed("model that is a pickle", "is damaged", lambda c: b"\x80\x04\x95" + c)
_changed("model that announces a header of 2^60 bytes", "a header of", lambda c: struct.pack("<Q", 2**60) + c[8:])
_changed("model whose header is no JSON", "is damaged", lambda c: c[:8] + b"x" + c[9:])
_changed("model with one byte of its weights changed to NaN", "not finite", lambda c: c[:-4] + b"\xff\xff\xff\xff")
_described("model of an unknown architecture", "cannot build", lambda d: d.update(architecture="transformer"))
_described("model of 10^9 filters", "", lambda d: d["config"].update(filters=10**9))
_described("model of a negative number of blocks", "", lambda d: d["config"].update(blocks=-3))
_described("model with other filters than its weights", "", lambda d: d["config"].update(filters=3))
_described("model whose card is a list", "cannot build", lambda d: d.update(card=[]))
_described("model with a training spacing of NaN", "", lambda d: d["card"].update(training_spacing=[float("nan"), 1]))
_described("model with an unknown rule of intensities", "", lambda d: d["card"].update(normalization={"rule": "log"}))
_weights("model whose result overflows", "prediction is NaN or infinite", 3e38)
_trained("training at a rate of 1e20", "", optimizer={"batch": 2, "warmup": 1, "rate": 1e20})
_trained("training at a rate of NaN", "", optimizer={"batch": 2, "warmup": 1, "rate": float("nan")})
_trained("training in batches of 0", "", optimizer={"batch": 0})
_trained("training with an unknown option", "", optimiser={"batch": 2})
_trained("training without a table", "", csv="/nowhere/subjects.csv")


@add("model that is not there", "no model named")
def _absent(scene: Scene) -> list[Any]:
    return scene.predict(scene.scan(), "-m", "segsrgan-of-tomorrow")


@add("folder given as a model", "")
def _folder(scene: Scene) -> list[Any]:
    return scene.predict(scene.scan(), "-m", scene.folder)


@add("original weights cut off", "")
def _cut_keras(scene: Scene) -> list[Any]:
    path = scene.folder / "weights.h5"
    path.write_bytes(ORIGINAL.read_bytes()[:20000])
    return ["models", "import", path]


@add("original weights that are another HDF5 file", "")
def _foreign_keras(scene: Scene) -> list[Any]:
    import h5py

    path = scene.folder / "weights.h5"
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("/etc/passwd", "/b")
        file.create_dataset("huge", (2**40,), "f4", chunks=(2**20,))
    return ["models", "import", path]


@add("model imported under the name `../../x`", "cannot be named")
def _traversal(scene: Scene) -> list[Any]:
    return ["models", "import", scene.model, "--name", "../../x"]


@add("model removed by the name `../neutral`", "no model named")
def _removal(scene: Scene) -> list[Any]:
    return ["models", "remove", "../neutral"]


@add("configuration that is no JSON", "")
def _no_json(scene: Scene) -> list[Any]:
    path = scene.folder / "config.json"
    path.write_text("{epochs: 3")
    return ["train", path, "--progress", "none"]


@add("YAML configuration that makes a Python object", "")
def _yaml(scene: Scene) -> list[Any]:
    path = scene.folder / "config.yaml"
    path.write_text("epochs: !!python/object/apply:os.system ['touch /tmp/owned']\n")
    return ["train", path, "--progress", "none"]
