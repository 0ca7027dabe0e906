"""What one run is asked to do, as a small frozen object that turns itself into a command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnhanceSettings:
    """The options of a run; the defaults are those of the panel.

    model: a name of the model list, or the path of a .safetensors file; "" is the default model.
    spacing: of the result, in mm, the same along every axis.
    device: auto, cpu, cuda or mps.
    patch: edge of the patches in voxels. overlap: share of a patch in common with the next one.
    threshold: probability from which a voxel is cortex.
    isBrain: the volume shows nothing but a brain, so none is looked for; a mask that is given counts more.
    """

    model: str = ""
    spacing: float = 0.5
    device: str = "auto"
    patch: int = 128
    overlap: float = 0.5
    threshold: float = 0.5
    biasCorrection: bool = False
    mixedPrecision: bool = True
    isBrain: bool = False

    @classmethod
    def fromParameters(cls, parameters) -> EnhanceSettings:
        """Read the parameters of the same names from the parameter node."""
        return cls(**{name: getattr(parameters, name) for name in cls.__dataclass_fields__})

    def arguments(self) -> list[str]:
        """The options of `segsrgan predict` but the mask, the same that a shell user types."""
        return self._common()

    def batchArguments(self) -> list[str]:
        """The options of `segsrgan batch`; there it holds for volumes without a mask of their own."""
        return [*self._common(), "--mask", "none" if self.isBrain else "auto"]

    def _common(self) -> list[str]:
        arguments = ["--spacing", f"{self.spacing:.6g}", "--device", self.device, "--patch", str(self.patch)]
        arguments += ["--overlap", f"{self.overlap:.6g}", "--threshold", f"{self.threshold:.6g}"]
        arguments += ["--precision", "auto" if self.mixedPrecision else "float32"]
        if self.model:
            arguments += ["--model", self.model]
        if self.biasCorrection:
            arguments.append("--bias-correction")
        return arguments
