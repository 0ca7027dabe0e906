"""Stand-in of `slicer.i18n`: texts go through `slicer.app.translate` with the context that Slicer would use."""

import inspect
from pathlib import Path


def translate(context: str, text: str) -> str:
    from slicer import app

    return app.translate(context, text)


def tr(text: str) -> str:
    return translate(context(inspect.getsourcefile(inspect.currentframe().f_back)), text)


def context(sourceFile: str) -> str:
    """The file, and before it the package that it lies in."""
    path = Path(sourceFile)
    return f"{path.parent.name}.{path.stem}" if (path.parent / "__init__.py").is_file() else path.stem
