"""Trained networks: card, file, list, download, import."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "card": ["ModelCard", "Domain", "read_card"],
        "registry": ["ModelEntry", "list_models", "user_models_folder"],
        "checkpoint": ["Model", "load_model", "load_checkpoint", "save_checkpoint"],
        "store": ["download_model", "free_name", "import_model", "remove_model"],
    },
)
