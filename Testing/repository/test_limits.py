"""Code keeps the limits of the table in CONTRIBUTING.md."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    text.strip(): int(number)
    for text, number in re.findall(r"^\| ([^|]+) \| (\d+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
}
CODE = sorted(path for half in ("SegSRGANLib", "SegSRGAN") for path in (ROOT / half).rglob("*.py"))
TESTS = sorted((ROOT / "Testing").rglob("*.py"))
UNCOUNTED = {"self", "cls", "progress", "should_stop"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _limit(start: str) -> int:
    """The number in the row of the table that starts so."""
    (most,) = (number for text, number in LIMITS.items() if text.startswith(start))
    return most


def _functions(path: Path) -> Iterator[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def statement_lines(function: Function) -> int:
    """Lines from the first statement to the last, without the docstring and functions inside."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    inside = [node for node in body if isinstance(node, Function)]
    lines = function.end_lineno - body[0].lineno + 1
    return lines - sum(node.end_lineno - node.lineno + 1 for node in inside)


def parameters(function: Function) -> int:
    """Parameters that can be given by position."""
    arguments = function.args.posonlyargs + function.args.args
    return len([argument for argument in arguments if argument.arg not in UNCOUNTED])


def _is_command(path: Path, function: Function) -> bool:
    return path.parent.name == "cli" and any(
        "typer." in ast.unparse(a.annotation) for a in function.args.args if a.annotation
    )


def _none(complaints: list[str]) -> None:
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.mark.parametrize(
    ("files", "row"), [(CODE, "lines of a file of the library"), (TESTS, "lines of a file of the tests")]
)
def test_files_are_short(files, row):
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    _none([f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > _limit(row)])


def test_functions_are_short():
    most = {False: _limit("lines of a function"), True: _limit("lines of the statements of a command")}
    _none(
        [
            f"{path.relative_to(ROOT)}: {function.name} has {statement_lines(function)} lines"
            for path in CODE
            for function in _functions(path)
            if statement_lines(function) > most[path.parent.name == "cli"]
        ]
    )


def test_functions_have_few_parameters():
    most = _limit("parameters of a function")
    _none(
        [
            f"{path.relative_to(ROOT)}: {function.name} has {parameters(function)} parameters"
            for path in CODE
            for function in _functions(path)
            if parameters(function) > most and not _is_command(path, function)
        ]
    )


def test_folders_of_the_library_are_small():
    counts = Counter(path.parent for path in CODE if "SegSRGANLib" in path.parts)
    most = _limit("files of a folder")
    _none([f"{folder.relative_to(ROOT)}: {count} files" for folder, count in counts.items() if count > most])


def test_tracked_files_are_small():
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a clone, to list the tracked files ({error})")
    paths = [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    most = _limit("size of a tracked file") * 10**6
    _none([f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes" for path in paths if path.stat().st_size > most])


def test_the_measures_count_what_the_table_says():
    source = '''
class A:
    def f(self, a, b=1, *, c=2, progress=None):
        """One.

        Two.
        """
        def g(x):
            return x

        return g(a
                 + b)
'''
    f, g = (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))
    assert (statement_lines(f), statement_lines(g)) == (3, 1)
    assert (parameters(f), parameters(g)) == (2, 1)
