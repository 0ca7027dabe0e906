"""CONTRIBUTING.md's picture of the library is that of its imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "SegSRGANLib"
ROOMS = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}


def imported(path: Path) -> set[str]:
    """The rooms of the library that a file imports from, its own among them."""
    package = path.relative_to(ROOT).parts[:-1]
    names: list[list[str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            names += [module] if node.module else [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
    return {name[1] for name in names if name[0] == LIBRARY.name and len(name) > 1} & ROOMS


def drawn_from_the_imports() -> dict[str, set[str]]:
    """The arrows of each room."""
    return {room: set().union(*(imported(path) for path in (LIBRARY / room).rglob("*.py"))) - {room} for room in ROOMS}


def drawn_on_the_page() -> dict[str, set[str]]:
    """The arrows as CONTRIBUTING.md draws them."""
    arrows = {}
    for rooms, others in re.findall(r"^    ([a-z_, ]+?) +-> (.+)$", PAGE, re.MULTILINE):
        ends = others.split()
        if others.startswith("everything but"):
            ends = ROOMS - set(others.removeprefix("everything but").replace(" and ", " ").replace(",", " ").split())
        for room in rooms.split(", "):
            arrows[room] = set(ends) - {room}
    return arrows


def test_the_arrows_are_those_of_the_imports():
    drawn, page = drawn_from_the_imports(), drawn_on_the_page()
    assert page.keys() | {"utils"} == drawn.keys()
    assert {room: sorted(page.get(room, ())) for room in drawn} == {room: sorted(ends) for room, ends in drawn.items()}


def test_the_figures_are_those_of_the_imports():
    last = {row[0].strip(): row[-1].strip() for row in (r.strip("|").split("|") for r in PAGE.splitlines() if "|" in r)}
    drawn = drawn_from_the_imports()
    assert last["rooms (packages, and files at the top)"] == str(len(drawn))
    assert last["arrows between rooms"] == str(sum(map(len, drawn.values())))

    def chain(room: str) -> int:
        return 1 + max((chain(end) for end in drawn[room]), default=0)

    assert last["longest chain of rooms"] == str(max(map(chain, drawn)))
    folders = [len(list(folder.glob("*.py"))) for folder in LIBRARY.rglob("*") if folder.is_dir()]
    assert last["largest folder of the library, files"] == str(max(folders))


def test_every_named_file_exists():
    architecture = PAGE[PAGE.index("## Architecture in one page") : PAGE.index("The limits, which")]
    named = re.findall(r"`([\w/]+/\w+\.py)`", architecture)
    assert len(named) > 20
    roots = (ROOT, LIBRARY, ROOT / "SegSRGAN" / "SegSRGANModule")
    assert [name for name in named if not any((root / name).is_file() for root in roots)] == []
