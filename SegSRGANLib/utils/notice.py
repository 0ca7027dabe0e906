"""The sentence that goes with everything that the software makes."""

from __future__ import annotations

RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment decisions."
