"""SegSRGAN in 3D Slicer: sharper neonatal brain MRI and its cortex, at one click.

This file holds what Slicer asks for by name. The panel and its logic are in `SegSRGANModule`, one class a file; the
computation is in `SegSRGANLib`, which knows nothing of Slicer and runs in a child process.
"""

import importlib.util
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

# From the source tree Slicer adds only this file's folder to the path; the library is beside that folder.
if importlib.util.find_spec("SegSRGANLib") is None:
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from SegSRGANModule.Jobs.SampleData import registerSampleData  # noqa: E402
from SegSRGANModule.Logic import SegSRGANLogic  # noqa: E402, F401
from SegSRGANModule.Panel.Widget import SegSRGANWidget  # noqa: E402, F401
from SegSRGANModule.ParameterNode import SegSRGANParameterNode  # noqa: E402, F401
from SegSRGANModule.Test import SegSRGANTest  # noqa: E402, F401

HELP = """
<p>Turns one clinical T2-weighted MRI of a neonatal or fetal brain, sharp in the slice and coarse across it, into an
isotropic super-resolved volume and a segmentation of the cerebral cortex.</p>
<p><b>Research use only. Not a medical device.</b></p>
<p>See the <a href="https://github.com/SegSRGAN/SegSRGAN/blob/main/docs/tutorial.md">tutorial</a> and
<a href="https://github.com/SegSRGAN/SegSRGAN/blob/main/docs/models.md">the models with their licences</a>.</p>
<p>In the Python console:</p>
<pre>
from SegSRGAN import SegSRGANLogic
node = slicer.util.getNode("T2w")
volume, cortex, probability = SegSRGANLogic().enhance(node)
SegSRGANLogic().enhanceFolder("/data/in", "/data/out")
</pre>
"""
ACKNOWLEDGEMENT = """
Please cite Pham et al., "Simultaneous super-resolution and segmentation using a generative adversarial network:
application to neonatal brain MRI", ISBI 2019 (hal-01895163), and Delannoy et al., "SegSRGAN: super-resolution and
segmentation using generative adversarial networks. Application to neonatal brain MRI", Computers in Biology and
Medicine 2020.
"""


class SegSRGAN(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SegSRGAN")
        parent.categories = ["Segmentation", "Filtering"]
        parent.dependencies = []
        parent.contributors = ["SegSRGAN contributors"]  # names are the repository owner's to fill in
        parent.helpText = HELP
        parent.acknowledgementText = ACKNOWLEDGEMENT
        slicer.app.connect("startupCompleted()", registerSampleData)
