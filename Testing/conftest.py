"""What every test shares: the source tree on the path, quiet threads, the data that may be there, the GPU marker."""

import os
import sys
from pathlib import Path

import pytest
from support.browser import browse  # noqa: F401 (a fixture)

# The tests' volumes are tiny: one thread is quicker than several, also in child processes. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_DATA_SETS = ("gholipour2017", "fidon2021", "mialsrtk")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the public volumes the project is developed on; they are never part of the repository."""
    folder = Path(os.environ.get("SEGSRGAN_DATA", ROOT.parent / "shared" / "data"))
    missing = [name for name in _DATA_SETS if not (folder / name).is_dir()]
    if missing:
        pytest.skip(f"needs the public volumes: {', '.join(missing)} not found in {folder} (set SEGSRGAN_DATA)")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests marked ``gpu`` where torch sees no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
