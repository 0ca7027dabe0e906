"""Stands in for `python -m SegSRGANLib` where a test is about the panel: same protocol, no PyTorch, done in a second.

`predict` interpolates and calls the brightest voxels cortex. The variable SEGSRGAN_STAND_IN makes it misbehave: "slow"
(steps that wait for the cancel file), "stubborn" (ignores that file), "fail" (one sentence, status 1), "crash" (dies).
With "intensity" it does not segment, with "no map" it makes no map, with "finds brain" a brain mask.
SEGSRGAN_STAND_IN_RECORD is a JSON object that is merged into the record; SEGSRGAN_STAND_IN_NOTES names the file for
the arguments of the run.
"""

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

MODE = os.environ.get("SEGSRGAN_STAND_IN", "")
CANCELLED = 3


def emit(**values) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--progress", required=True)
    parser.add_argument("--cancel-file", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    predict_options = commands.add_parser("predict")
    predict_options.add_argument("input", type=Path)
    predict_options.add_argument("more", type=Path, nargs="*")
    predict_options.add_argument("-o", dest="output", type=Path, required=True)
    for name, kind in (
        ("spacing", float), ("model", str), ("mask", str), ("device", str), ("patch", int), ("precision", str)
    ):  # fmt: skip
        predict_options.add_argument(f"--{name}", type=kind)
    for name in ("overlap", "threshold"):
        predict_options.add_argument(f"--{name}", type=float)
    for name in ("--bias-correction", "--maps", "--report"):
        predict_options.add_argument(name, action="store_true")
    batch_options = commands.add_parser("batch")
    batch_options.add_argument("input", type=Path)
    batch_options.add_argument("-o", dest="output", type=Path, required=True)
    for name, kind in (
        ("spacing", float), ("model", str), ("mask", str), ("device", str), ("patch", int), ("precision", str)
    ):  # fmt: skip
        batch_options.add_argument(f"--{name}", type=kind)
    for name in ("overlap", "threshold"):
        batch_options.add_argument(f"--{name}", type=float)
    for name in ("--bias-correction", "--maps", "--report"):
        batch_options.add_argument(name, action="store_true")
    models = commands.add_parser("models").add_subparsers(dest="action", required=True).add_parser("import")
    models.add_argument("file", type=Path)
    models.add_argument("--name")
    dicom_options = commands.add_parser("dicom")
    dicom_options.add_argument("record", type=Path)
    dicom_options.add_argument("--source", type=Path, required=True)
    dicom_options.add_argument("-o", dest="output", type=Path, required=True)
    dicom_options.add_argument("--edited", action="store_true")
    commands.add_parser("train").add_argument("config", type=Path)
    if notes := os.environ.get("SEGSRGAN_STAND_IN_NOTES"):
        Path(notes).write_text(json.dumps(sys.argv[1:]))
    # the shared options may follow the command, as in the real program
    shared, rest = [], sys.argv[1:]
    for name in filter(rest.__contains__, ("--progress", "--cancel-file")):
        at = rest.index(name)
        shared += rest[at : at + 2]
        del rest[at : at + 2]
    options = parser.parse_args(shared + rest)
    emit(pid=os.getpid())
    {"predict": predict, "train": train, "models": import_model, "batch": batch, "dicom": dicom}[options.command](
        options
    )


def step(options, fraction: float, message: str) -> None:
    emit(fraction=fraction, message=message, remaining=round(2 * (1 - fraction), 1))
    if MODE == "fail" and fraction >= 0.5:
        sys.stderr.write("a line of details\nError: The volume is made of cheese; choose one of a brain.\n")
        sys.exit(1)
    if MODE == "crash" and fraction >= 0.5:
        os.abort()
    for _ in range(200 if MODE in ("slow", "stubborn") else 1):
        if options.cancel_file.exists() and MODE != "stubborn":
            sys.exit(CANCELLED)
        time.sleep(0.02)


def predict(options) -> None:
    import numpy as np
    import SimpleITK as sitk

    step(options, 0.1, "Reading")
    image = sitk.Cast(sitk.ReadImage(str(options.input)), sitk.sitkFloat32)
    spacing, size = [options.spacing] * 3, image.GetSize()
    wanted = [max(1, round(n * s / options.spacing)) for n, s in zip(size, image.GetSpacing(), strict=True)]
    shift = (np.array(spacing) - image.GetSpacing()) / 2
    origin = np.array(image.GetOrigin()) + np.reshape(image.GetDirection(), (3, 3)) @ shift
    edge = sitk.ResampleImageFilter()
    edge.SetSize(wanted)
    edge.SetOutputSpacing(spacing)
    edge.SetOutputOrigin(origin.tolist())
    edge.SetOutputDirection(image.GetDirection())
    edge.SetInterpolator(sitk.sitkNearestNeighbor)
    edge.UseNearestNeighborExtrapolatorOn()
    sr = edge.Execute(image)
    step(options, 0.5, "Predicting patches")
    values = sitk.GetArrayFromImage(sr)
    cortex = values > options.threshold * values.max()
    given = options.mask not in (None, "auto", "none")
    if given:
        edge.SetInterpolator(sitk.sitkNearestNeighbor)
        cortex &= sitk.GetArrayFromImage(edge.Execute(sitk.ReadImage(str(options.mask)))) > 0
    labels, probability = (sitk.GetImageFromArray(cortex.astype(kind)) for kind in (np.uint8, np.float32))
    for result in (labels, probability):
        result.CopyInformation(sr)
    write(options, sr, probability, labels)


def write(options, sr, probability, labels) -> None:
    import SimpleITK as sitk

    name = options.input.name.removesuffix(".nrrd").removesuffix(".nii.gz")
    options.output.mkdir(parents=True, exist_ok=True)
    images = [(sr, "sr"), (probability, "cortex-probability"), (labels, "cortex")]
    for image, ending in images[:1] if MODE == "intensity" else images:
        sitk.WriteImage(image, str(options.output / f"{name}_{ending}.nii.gz"))
    if options.maps and MODE != "no map":
        sitk.WriteImage(consistency(options), str(options.output / f"{name}_consistency.nii.gz"))
    if options.report:
        (options.output / f"{name}_report.html").write_text(f"<html><h1>{name}</h1>Not a medical device</html>")
    if MODE == "finds brain" and options.mask == "auto":
        scan = sitk.ReadImage(str(options.input))
        sitk.WriteImage(scan > 0, str(options.output / f"{name}_brain-mask.nii.gz"))
    record = {"device": "cpu (1 threads)", "model": {"name": options.model, "title": "Stand-in"}}
    record |= {"warnings": ["Only a stand-in."], "seconds": {"total": 1.5}, "options": {"spacing": options.spacing}}
    record |= {"classes": [] if MODE == "intensity" else ["cortex"]}
    record |= json.loads(os.environ.get("SEGSRGAN_STAND_IN_RECORD", "{}"))
    (options.output / f"{name}_record.json").write_text(json.dumps(record))
    (options.output / f"{name}_qc.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    emit(done=True, files={})


def consistency(options):
    """Noise of one standard deviation, and two places where result and scan differ: too bright, too dark."""
    import numpy as np
    import SimpleITK as sitk

    scan = sitk.ReadImage(str(options.input))
    values = np.random.default_rng(0).uniform(-1, 1, scan.GetSize()[::-1]).astype(np.float32)
    values[2, 10, 8] = 11.0
    values[-2, -9, -7] = -7.0
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(scan)
    return result


def batch(options) -> None:
    """One volume after the other, as the engine does; what is there is skipped."""
    files = sorted(path for path in options.input.iterdir() if path.name.endswith((".nii.gz", ".nrrd")))
    rows = []
    for number, path in enumerate(files):
        step(options, number / len(files), f"{number} of {len(files)} volumes")
        name = path.name.removesuffix(".nrrd").removesuffix(".nii.gz")
        if not (options.output / f"{name}_record.json").is_file():
            predict(argparse.Namespace(**{**vars(options), "input": path}))
        rows.append({"name": name, "status": "done", "reason": "n/a"})
    with (options.output / "summary.tsv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["name", "status", "reason"], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    emit(done=True, files={})


def dicom(options) -> None:
    """Says in a file what it was asked for; `test_dicom.py` has the real one."""
    step(options, 0.5, "Writing DICOM")
    record = json.loads(options.record.read_text())
    asked = {"source": str(options.source), "edited": options.edited, "classes": record["classes"]}
    (options.output / "asked.json").write_text(json.dumps(asked))
    emit(done=True, files={})


def import_model(options) -> None:
    """Copy a file that looks like a model into the user's folder."""
    if b"segsrgan" not in options.file.read_bytes()[:200]:
        sys.stderr.write(f"Error: {options.file.name} is not a model file of this software.\n")
        sys.exit(1)
    name = options.name or options.file.stem.replace(" ", "-")
    target = Path(os.environ["SEGSRGAN_HOME"]) / "models" / f"{name}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(options.file.read_bytes())
    emit(done=True, name=name, files={"model": str(target)})


def train(options) -> None:
    config = json.loads(options.config.read_text())
    output = Path(config["output"])
    rows = []
    for epoch in range(1, config["epochs"] + 1):
        step(options, epoch / (config["epochs"] + 1), f"Epoch {epoch}")
        row = {
            "epoch": epoch,
            "step": epoch * 8,
            "loss": 1 / epoch,
            "psnr": 25.0 + epoch,
            "psnr_spline": 25.0,
            "dice": 0.1 * epoch,
        }
        rows.append(row)
        with (output / "log.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows(rows)
        (output / "state.safetensors").write_bytes(b"")
        emit(**row)
    emit(done=True, files={})


if __name__ == "__main__":
    main()
