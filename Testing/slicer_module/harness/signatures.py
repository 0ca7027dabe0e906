"""Functions of the application that are stood in, with the signatures that its sources have.

`recorded_signatures.json` holds names, order and defaults as data. A stub made by `stub` takes what every recorded
version of the function takes, and raises TypeError otherwise, as the application would.
"""

import ast
import functools
import inspect
import json
from pathlib import Path

RECORDED = json.loads(Path(__file__).with_name("recorded_signatures.json").read_text())


def versions(name: str) -> list[inspect.Signature]:
    """The recorded signatures of a function, one for each version of the application that differs."""
    return [inspect.Signature([_parameter(*entry) for entry in version]) for version in RECORDED[name]["versions"]]


def stub(name: str, function):
    """`function(**arguments)` behind the recorded signature; defaults are filled in."""
    signatures = versions(name)

    @functools.wraps(function)
    def call(*args, **kwargs):
        bound = [signature.bind(*args, **kwargs) for signature in signatures]
        bound[-1].apply_defaults()
        return function(**bound[-1].arguments)

    call.__signature__ = signatures[-1]
    return call


def _parameter(name: str, *default: str) -> inspect.Parameter:
    if name.startswith("**"):
        return inspect.Parameter(name[2:], inspect.Parameter.VAR_KEYWORD)
    value = ast.literal_eval(default[0]) if default else inspect.Parameter.empty
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=value)
