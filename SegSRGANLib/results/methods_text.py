"""What was done to a scan, as the methods section of a paper says it, with its references; from the record alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_REFERENCES = {
    "pham": "Pham C-H, Tor-Díez C, Meunier H, et al. Simultaneous super-resolution and segmentation using a generative "
    "adversarial network: application to neonatal brain MRI. IEEE ISBI 2019. hal-01895163.",
    "delannoy": "Delannoy Q, Pham C-H, Cazorla C, et al. SegSRGAN: Super-resolution and segmentation using generative "
    "adversarial networks. Application to neonatal brain MRI. Computers in Biology and Medicine 2020;120:103755. "
    "doi:10.1016/j.compbiomed.2020.103755.",
    "mixture": "Van Leemput K, Maes F, Vandermeulen D, Suetens P. Automated model-based tissue classification of MR "
    "images of the brain. IEEE Transactions on Medical Imaging 1999;18(10):897-908. doi:10.1109/42.811270.",
    "n4": "Tustison NJ, Avants BB, Cook PA, et al. N4ITK: improved N3 bias correction. IEEE Transactions on Medical "
    "Imaging 2010;29(6):1310-1320. doi:10.1109/TMI.2010.2046908.",
    "pytorch": "Paszke A, Gross S, Massa F, et al. PyTorch: an imperative style, high-performance deep learning "
    "library. NeurIPS 2019;32.",
    "simpleitk": "Lowekamp BC, Chen DT, Ibáñez L, Blezek D. The design of SimpleITK. Frontiers in Neuroinformatics "
    "2013;7:45. doi:10.3389/fninf.2013.00045.",
}
_MASKS = {
    "found": "The brain was found by SegSRGAN's own network for brain extraction",
    "given": "A brain mask was given",
    "none": "No brain mask was used",
}


@dataclass
class Methods:
    """sentences: of the methods section, with numbers in brackets. references: in the order of these numbers."""

    sentences: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)

    def cite(self, *references: str) -> str:
        """The bracket with the numbers of references, which are added to the list where they are new."""
        numbers = []
        for reference in references:
            if reference not in self.references:
                self.references.append(reference)
            numbers.append(self.references.index(reference) + 1)
        return "[" + ", ".join(map(str, numbers)) + "]"


def methods_of(record: Mapping[str, Any]) -> Methods:
    """The methods of one run.

    Args:
        record: see `describe_run` and `enhance`; what an older record does not hold is left out.
    """
    methods = Methods()
    _network(methods, record)
    _preparation(methods, record)
    _prediction(methods, record)
    _software(methods, record)
    return methods


def _network(methods: Methods, record: Mapping[str, Any]) -> None:
    model = record["model"]
    made = record.get("output", {}).get("spacing")
    onto = f" to voxels of {_times(made)} mm" if made else ""
    classes = record.get("classes") or []
    segmented = f" and segmented ({', '.join(classes)})" if classes else ""
    cited = methods.cite(_REFERENCES["pham"], _REFERENCES["delannoy"])
    methods.sentences.append(
        f"{_scanned(record)} super-resolved{onto}{segmented} with SegSRGAN "
        f"{record['software']['segsrgan']} {cited}, model “{model['title']}” (SHA-256 {model['sha256'][:12]})."
    )
    if model.get("training_data"):
        of = f" {methods.cite(*_of_training(model['citation']))}" if _of_training(model.get("citation") or "") else ""
        methods.sentences.append(f"The model was trained on {model['training_data'].rstrip('.')}{of}.")


def _scanned(record: Mapping[str, Any]) -> str:
    """The scan, or the stacks of one child, as the subject of a sentence."""
    stacks = record.get("stacks") or []
    if not stacks:
        return f"A T2-weighted volume with voxels of {_times(record['input']['grid']['spacing'])} mm was"
    *before, last = dict.fromkeys(_times(stack["grid"]["spacing"]) for stack in stacks)
    sizes = f"{', '.join(before)} and {last}" if before else last
    return f"{len(stacks)} T2-weighted stacks of one child, with voxels of {sizes} mm, were combined into one volume,"


def _of_training(citation: str) -> list[str]:
    """The citations of a model's card but those of the method, which is cited already."""
    return [part for part in citation.split("; ") if part and not re.match("(Pham|Delannoy) et al", part)]


def _preparation(methods: Methods, record: Mapping[str, Any]) -> None:
    mask, options = record.get("mask", {}), record["options"]
    if mask.get("source") in _MASKS:
        volume = f" ({mask['volume_ml']:.0f} mL)" if mask.get("volume_ml") else ""
        methods.sentences.append(f"{_MASKS[mask['source']]}{volume}.")
    if options.get("bias_correction"):
        methods.sentences.append(f"The bias field was corrected by N4 {methods.cite(_REFERENCES['n4'])}.")
    kind = {"bspline": "cubic B-splines"}.get(options["interpolator"], f"{options['interpolator']} interpolation")
    stacks = record.get("stacks") or []
    if stacks:
        left_out = sum(len(stack["slices_left_out"]) for stack in stacks)
        methods.sentences.append(
            "The stacks were registered rigidly to the first one by mutual information and correlation. Slices that do "
            f"not agree with the other stacks hardly counted ({left_out or 'none'})."
        )
    scan = "Each stack" if stacks else "The scan"
    place = "" if stacks else ", in its own field of view"
    methods.sentences.append(f"{scan} was brought onto the grid of the result by {kind}{place}.")


def _prediction(methods: Methods, record: Mapping[str, Any]) -> None:
    options = record["options"]
    side = (options.get("prediction") or {}).get("patch")
    patches = f" in overlapping patches of up to {side} x {side} x {side} voxels" if side else ""
    methods.sentences.append(f"The network predicted the brain{patches}.")
    several = bool(record.get("stacks"))
    if options.get("consistency"):
        methods.sentences.append(
            f"The intensities were brought to agreement with {'all stacks at once' if several else 'the scan'} through "
            f"a model of {'their' if several else 'its'} acquisition (Gaussian slice profile, full width at half "
            "maximum equal to the slice thickness)."
        )
    if (record.get("refinement") or {}).get("applied"):
        methods.sentences.append(
            "The borders of the classes were refined on the super-resolved intensities: a mixture of one Gaussian a "
            "class, with the network's probabilities as priors and a Markov random field, was fitted by "
            f"expectation-maximization {methods.cite(_REFERENCES['mixture'])}."
        )
    if record.get("classes"):
        methods.sentences.append(f"A voxel was labelled from a probability of {options['threshold']:g} on.")
    if runs := options.get("uncertainty"):
        methods.sentences.append(f"Uncertainty was measured over {runs} predictions of mirrored and shifted copies.")


def _software(methods: Methods, record: Mapping[str, Any]) -> None:
    software = record["software"]
    torch = f"PyTorch {software['torch']} {methods.cite(_REFERENCES['pytorch'])}"
    itk = f"SimpleITK {software['SimpleITK']} {methods.cite(_REFERENCES['simpleitk'])}"
    methods.sentences.append(f"Computed with {torch} and {itk}. For research use only.")


def _times(values: Any) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
