"""Terms of use, shown once a licence and accepted before the first run: research only, and the model's own licence."""

from __future__ import annotations

import hashlib

import qt
from slicer.i18n import tr as _

from .Models import ModelChoice
from .Services import Asks


class Terms:
    """Asks through `asks`, and keeps what was accepted in Slicer's settings."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    def ensure(self, choice: ModelChoice | None) -> bool:
        """Whether a run may start: the terms were accepted before, or are now."""
        if self.areAccepted(choice):
            return True
        agree = _("I accept these terms")
        if self._asks.choose(text(choice), [agree]) != agree:
            return False
        self.accept(choice)
        return True

    @staticmethod
    def areAccepted(choice: ModelChoice | None) -> bool:
        return qt.QSettings().value(_setting(choice)) is not None

    @staticmethod
    def accept(choice: ModelChoice | None) -> None:
        qt.QSettings().setValue(_setting(choice), "accepted")


def text(choice: ModelChoice | None) -> str:
    """What is accepted."""
    parts = [
        _("SegSRGAN is for research only. It is not a medical device: results must not guide diagnosis or treatment.")
    ]
    if choice and choice.licence:
        parts.append(_("The model {title}: {licence}.").format(title=choice.title, licence=choice.licence.rstrip(".")))
    return "\n\n".join(parts)


def _setting(choice: ModelChoice | None) -> str:
    """Another licence is another question."""
    return f"SegSRGAN/TermsAccepted/{hashlib.sha256(text(choice).encode()).hexdigest()[:16]}"
