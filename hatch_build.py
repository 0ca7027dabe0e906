"""What the build of a distribution decides: with or without weights, its licence, a README whose links work anywhere.

SEGSRGAN_WITHOUT_WEIGHTS=1 makes a distribution of the code alone, under its open licences; its user fetches the weights
with `segsrgan models download`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = "https://github.com/SegSRGAN/SlicerSegSRGAN"
PICTURES = "https://raw.githubusercontent.com/SegSRGAN/SlicerSegSRGAN/main"
# The viewer's JavaScript is under BSD-2-Clause, and MIT and ISC for what it bundles.
CODE_LICENCE = "Apache-2.0 AND BSD-2-Clause AND MIT AND ISC"
WEIGHTS_LICENCE = "LicenseRef-SegSRGAN-weights"  # Resources/Models/LICENSE.md: research, not commercial


def without_weights() -> bool:
    """Whether the user asked for a distribution without weights."""
    return os.environ.get("SEGSRGAN_WITHOUT_WEIGHTS", "") not in ("", "0")


def absolute_links(text: str) -> str:
    """A Markdown text whose links into the repository lead to its public address."""
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)([^)]+)\)", rf"\1{PICTURES}/\2)", text)
    return re.sub(r"(?<!\!)(\[[^\]]*\]\()(?!https?:|#)([^)]+)\)", rf"\1{REPOSITORY}/blob/main/\2)", text)


class MetadataHook(MetadataHookInterface):
    """Fills in `license` and `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Change the [project] table in place."""
        metadata["license"] = CODE_LICENCE if without_weights() else f"{CODE_LICENCE} AND {WEIGHTS_LICENCE}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute_links(text)}


class WeightsHook(BuildHookInterface):
    """Leaves the weights out when the user asked for that."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Exclude the weights; `models.json`, which says where they are, stays."""
        if without_weights():
            self.build_config.build_config.setdefault("exclude", []).append("*.safetensors")
