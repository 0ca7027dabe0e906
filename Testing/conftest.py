"""What every test shares: the source tree on the path, quiet threads, the data that may be there, the GPU marker."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import browse  # noqa: F401 (a fixture)
from support.forked import forked_workers, spawned_workers  # noqa: F401 (fixtures)
from support.tracing import import_packages, measuring, untraced

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


def pytest_configure(config: pytest.Config) -> None:
    """Prepare a process that will import all the tests; the one that only gives them out to others imports nothing."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return
    gc.disable()  # until everything is imported
    if measuring():
        with untraced():
            import_packages()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of most slow tests: a long one at the end would leave the other cores idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])  # stable: a file's tests stay together and in their order


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector looks at it once, and never again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Set up, run and tear down the tests marked ``untraced`` without coverage."""
    if item.get_closest_marker("untraced") is None:
        return (yield)
    with untraced():
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests marked ``gpu`` where torch sees no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
