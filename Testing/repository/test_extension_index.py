"""The rules of Slicer's Extensions Index (its scripts/check_description_files.py, 2026), and what a release needs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST_CLONE = 100_000_000  # bytes; the index asks for less than 100 MB


@pytest.fixture
def described():
    return json.loads((ROOT / "SegSRGAN.json").read_text(encoding="utf-8"))


@pytest.fixture
def cmake():
    return (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def test_the_description_file(described):
    required = {"$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier"}
    assert set(described) == required
    assert described["category"] == "Segmentation"  # one of the index's known categories
    assert described["tier"] in (1, 3, 5) and described["build_dependencies"] == ["PyTorch"]
    address = urlsplit(described["scm_url"])
    assert address.scheme in ("git", "https")
    assert "slicer" in Path(address.path).stem.lower(), "the repository's name must have Slicer in it"


def test_the_project_is_the_extension(cmake):
    project = re.findall(r"project\s*\(\s*([^\s\)\n\r]+)", cmake, re.IGNORECASE)[0]
    assert (ROOT / f"{project}.json").is_file()
    assert (
        f'EXTENSION_DEPENDS "{" ".join(json.loads((ROOT / "SegSRGAN.json").read_text())["build_dependencies"])}"'
        in cmake
    )


def test_icon_and_screenshots_are_pictures_of_this_repository(described, cmake):
    icon = re.findall(r'set\s*\(EXTENSION_ICONURL\s*"([^"]+)"[ ]*\)', cmake)
    shots = re.findall(r'set\s*\(EXTENSION_SCREENSHOTURLS\s*"([^"]+)"\)', cmake)
    assert len(icon) == 1 and len(shots) == 1
    repository = urlsplit(described["scm_url"]).path.removesuffix(".git")
    for address in (icon[0], *shots[0].split()):
        prefix = f"https://raw.githubusercontent.com{repository}/{described['scm_revision']}/"
        assert address.startswith(prefix)
        assert (ROOT / address.removeprefix(prefix)).read_bytes()[:4] == b"\x89PNG"


def test_licences_are_where_people_look():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    notice = (ROOT / "NOTICE").read_text()
    text = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'"([^"]+)"', re.search(r"license-files = \[(.*)\]", text)[1]):
        assert (ROOT / name).is_file() and (name in notice or name in ("NOTICE",))


def test_one_address_everywhere(described):
    """Links of package, citation, documentation and description lead to one repository."""
    repository = described["scm_url"].removesuffix(".git")
    for name in ("pyproject.toml", "CITATION.cff", "mkdocs.yml", "hatch_build.py", "CMakeLists.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        found = set(re.findall(r"https://github\.com/SegSRGAN/[A-Za-z]+", text))
        assert found == {repository}, name


def test_citation_zenodo_and_package_agree():
    version = re.search(r'__version__ = "(.+)"', (ROOT / "SegSRGANLib" / "__init__.py").read_text())[1]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert zenodo["upload_type"] == "software" and zenodo["license"] == "Apache-2.0" and zenodo["creators"]
    assert f'\ntitle: "{zenodo["title"]}"\n' in citation
    assert all(item["identifier"] in citation for item in zenodo["related_identifiers"])


def test_a_clone_stays_small():
    try:
        # what travels when it is cloned, not what lies here: a clone fetched in parts holds some objects twice
        history = len(_packed_history())
        files = sum(int(size) for size in _git("ls-tree", "-r", "--format=%(objectsize)", "HEAD").split())
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a clone ({error})")
    assert min(history, files) > 2**20
    assert history + files < LARGEST_CLONE, (history, files)


def _packed_history():
    command = ["git", "pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q"]
    return subprocess.run(command, cwd=ROOT, input=b"HEAD\n", capture_output=True, check=True).stdout


def _git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
