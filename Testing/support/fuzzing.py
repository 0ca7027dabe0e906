"""What the searches for files that break a reader share.

SEGSRGAN_FUZZ_EXAMPLES=20000 searches longer, at random: so many inputs for each test. Without it a fixed selection is
tried.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("SEGSRGAN_FUZZ_EXAMPLES", "0"))
MAX_GROWTH = 300 * 2**20  # bytes of memory that thousands of readings of tiny files may take in all

fuzz = settings(
    max_examples=EXAMPLES or 120,
    derandomize=not EXAMPLES,
    database=None,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """The whole file of tests may not make the process grow by much."""
    if sys.platform == "win32":
        yield
        return
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    before = peak()
    yield
    assert peak() - before < MAX_GROWTH


# A mutation: what, where (a fraction of the file, most often in its header), and with which bytes.
mutations = st.lists(
    st.tuples(
        st.sampled_from(["overwrite", "insert", "delete", "truncate", "repeat"]),
        st.one_of(st.floats(0, 0.4), st.floats(0, 1, exclude_max=True)),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def mutated(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """The bytes after all changes."""
    for what, where, new in changes:
        place = int(where * len(content))
        if what == "overwrite":
            content = content[:place] + new + content[place + len(new) :]
        elif what == "insert":
            content = content[:place] + new + content[place:]
        elif what == "delete":
            content = content[:place] + content[place + len(new) :]
        elif what == "truncate":
            content = content[:place]
        else:
            content = content[:place] + content[place : place + 40] * 2 + content[place + 40 :]
    return content
