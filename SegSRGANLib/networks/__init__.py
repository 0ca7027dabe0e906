"""The networks, each an nn.Module with its frozen configuration."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "segsrgan": ["Generator", "GeneratorConfig", "Discriminator", "DiscriminatorConfig"],
        "keras_segsrgan": ["KerasGenerator", "KerasGeneratorConfig"],
        "cascade": ["Cascade", "CascadeConfig"],
        "srrecnn": ["SRReCNN", "SRReCNNConfig"],
        "factory": ["ARCHITECTURES", "build_network"],
    },
)
