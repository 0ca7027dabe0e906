"""The project's rules, as functions from source code to a list of complaints; `test_architecture.py` applies them.

The library (`SegSRGANLib`) never imports Slicer; the Slicer module (`SegSRGAN`) does no tensor math; nothing is
unpickled.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePath

SLICER_PACKAGES = {
    "slicer",
    "qt",
    "ctk",
    "vtk",
    "vtkmodules",
    "PythonQt",
    "sitkUtils",
    "mrml",
    "DICOMLib",
    "PyTorchUtils",
}
PICKLE_PACKAGES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CORE_PACKAGES = {"torch", "numpy", "SimpleITK", "safetensors", "SegSRGANLib"}
COMMAND_PACKAGES = {"typer", "click", "rich"}
NUMERIC_PACKAGES = {"torch", "numpy", "scipy", "skimage", "monai", "torchio"}
# What the Slicer module may ask torch for: is it there, which version, which devices.
TORCH_QUESTIONS = {"__version__", "version", "cuda", "backends", "device"}
# Work on voxels. The 3 x 3 algebra of a volume node's axes (numpy.linalg) is not among it.
NUMERIC_METHODS = {
    "fft",
    "convolve",
    "correlate",
    "gradient",
    "percentile",
    "quantile",
    "einsum",
    "interp",
    "histogram",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def imported(tree: ast.AST, file_scope_only: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, by statement or by a call with a literal name."""
    for node in _file_scope(tree) if file_scope_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__", "require"}:
            yield from ((node.lineno, value.value) for value in node.args[:1] if isinstance(value, ast.Constant))


def imports_of(packages: set[str], tree: ast.AST, file_scope_only: bool = False) -> list[str]:
    """Imports whose first name is one of `packages`."""
    found = imported(tree, file_scope_only)
    return [f"line {line} imports {name}" for line, name in found if name.split(".")[0] in packages]


def foreign_at_file_scope(tree: ast.AST, allowed: set[str], standard: frozenset[str]) -> list[str]:
    """File-scope imports that are neither standard library nor allowed."""
    found = imported(tree, file_scope_only=True)
    return [
        f"line {line} imports {name} at file scope: import it where it is used, through optional.require"
        for line, name in found
        if name.split(".")[0] not in allowed | standard
    ]


def pickles(tree: ast.AST) -> list[str]:
    """Anything that writes or reads pickles: the packages, torch.load / torch.save, NumPy's allow_pickle."""
    found = imports_of(PICKLE_PACKAGES, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _name(node.value) == "torch" and node.attr in {"load", "save"}:
            found.append(f"line {node.lineno} uses torch.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            found += [f"line {node.lineno} imports torch.{a.name}" for a in node.names if a.name in {"load", "save"}]
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and getattr(node.value, "value", None) is not False
        ):
            found.append(f"line {node.value.lineno} sets allow_pickle")
    return found


def tensor_math(tree: ast.AST) -> list[str]:
    """Numeric work in the Slicer module: it may move arrays and ask torch about devices, no more."""
    found = [
        f"line {line} imports {name}"
        for line, name in imported(tree)
        if name.split(".")[0] in NUMERIC_PACKAGES and name not in {"torch", "numpy"}
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _name(node.value) == "torch" and node.attr not in TORCH_QUESTIONS:
            found.append(f"line {node.lineno} uses torch.{node.attr}")
        if isinstance(node, ast.Attribute) and node.attr in NUMERIC_METHODS:
            found.append(f"line {node.lineno} uses .{node.attr}")
    return found


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions and classes without a docstring, and any signature that is not fully typed."""
    found = [] if ast.get_docstring(tree) else ["the file has no docstring"]
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            found.append(f"line {node.lineno} {node.name} has no docstring")
        if isinstance(node, Function):
            found += _untyped(node)
        if isinstance(node, ast.ClassDef):
            for method in (member for member in node.body if isinstance(member, Function)):
                static = any(_name(decorator) == "staticmethod" for decorator in method.decorator_list)
                found += _untyped(method, skip=0 if static else 1)
    return found


def image_or_pickle(path: str, head: bytes) -> str | None:
    """Why a tracked file does not belong in the repository, judged by its name and its first 400 bytes, or None."""
    name = PurePath(path).name.lower()
    images = (".nii", ".nii.gz", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".dcm", ".ima", ".npy", ".npz")
    if name.endswith(images):
        return "a medical image or an array"
    if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")):
        return "a pickle"
    if head[344:348] in {b"n+1\0", b"ni1\0"} or head[128:132] == b"DICM" or head.startswith((b"NRRD", b"ObjectType")):
        return "a medical image under another name"
    if head.startswith((b"\x1f\x8b", b"\x93NUMPY", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a gzip, NumPy or pickle stream under another name"
    return None


def _file_scope(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run at import: everything but function bodies and `if TYPE_CHECKING:` blocks."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.Lambda):
            continue
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _file_scope(node)


def _name(node: ast.AST) -> str:
    """Last part of a name or an attribute, else an empty string."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _untyped(function: Function, skip: int = 0) -> list[str]:
    """What is missing from one signature; `skip` leaves out self or cls."""
    arguments = function.args
    named = [*(arguments.posonlyargs + arguments.args)[skip:], *arguments.kwonlyargs]
    named += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    missing = [argument.arg for argument in named if argument.annotation is None]
    missing += ["its result"] if function.returns is None else []
    return [f"line {function.lineno} {function.name} has no type for {', '.join(missing)}"] if missing else []
