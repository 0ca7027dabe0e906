"""How long a person at Slicer's panel waits: opening, Apply to the first progress, Cancel to the end, frozen window.

    python benchmarks/panel_times.py [--repeats 5]

The panel is the real one, on the harness of its tests (Testing/slicer_module/harness); the computation is the real one,
in its child process, on the procedural phantom. Each repeat is a process of its own. A timer of 10 ms in the panel's
event loop sees how long the window was frozen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HARNESS = ROOT / "Testing" / "slicer_module" / "harness"
TICK = 10  # ms
_PAUSE = 0.002  # s, between two looks at the events
STAGES = (0.0, 0.4)  # of the progress at which Cancel is pressed
ROWS = {
    "opening the module": "open",
    "click on Apply until the panel answers again": "apply_returns",
    "Apply to the first line of progress": "first_progress",
    "longest frozen window, Apply to the result": "frozen",
    **{f"Cancel to stopped, at {100 * stage:.0f} % or more": f"cancel_{stage}" for stage in STAGES},
}


def once() -> dict[str, float]:
    """One person: opens the panel, cancels a run at each stage, then waits for a whole one; seconds."""
    sys.path[:0] = [str(HARNESS), str(ROOT / "SegSRGAN"), str(ROOT)]
    os.environ["SEGSRGAN_HOME"] = tempfile.mkdtemp()
    import application

    slicer = application.boot()
    start = time.perf_counter()
    _module, _instance, panel = application.loadModule(ROOT / "SegSRGAN" / "SegSRGAN.py", _services)
    panel.enter()
    found = {"open": time.perf_counter() - start}
    from SegSRGANModule.Jobs import SampleData

    parameters = panel.logic.getParameterNode()
    parameters.inputVolume, parameters.spacing = SampleData.loadPhantom()[0], 0.8
    for stage in STAGES:
        found[f"cancel_{stage}"] = _cancelled(slicer, panel, stage)
    return found | _whole(slicer, panel)


def _services() -> Any:
    """Nobody is there to accept the terms."""
    from collaborators import services

    return services()


def _cancelled(slicer: Any, panel: Any, stage: float) -> float:
    """Seconds from Cancel, pressed once the child has said `stage`, to the end of the child."""
    seen: list[float] = []
    run = _applied(panel, seen)
    while not any(fraction >= stage for fraction in seen) and run.isRunning:
        slicer.app.processEvents()
        time.sleep(_PAUSE)
    start = time.perf_counter()
    panel.ui.cancelButton.click()
    run.wait()
    return time.perf_counter() - start


def _whole(slicer: Any, panel: Any) -> dict[str, float]:
    import qt

    seen: list[float] = []
    gaps, last = [0.0], [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    timer = qt.QTimer()
    timer.setInterval(TICK)
    timer.connect("timeout()", tick)
    timer.start()
    start = last[0] = time.perf_counter()
    run = _applied(panel, seen)
    found = {"apply_returns": time.perf_counter() - start}
    while not seen:
        slicer.app.processEvents()
        time.sleep(_PAUSE)
    found["first_progress"] = time.perf_counter() - start
    while run.isRunning:
        slicer.app.processEvents()
        time.sleep(_PAUSE)
    slicer.app.processEvents()
    return found | {"frozen": max(gaps)}


def _applied(panel: Any, seen: list[float]) -> Any:
    """Press Apply; `seen` gets the fractions that the child reports."""
    display = panel.enhanceTab.control.display
    real: Callable[[dict], None] = type(display).progress.__get__(display)
    display.progress = lambda message: (seen.append(message.get("fraction", 0.0)), real(message))[1]
    panel.ui.applyButton.click()
    return panel.enhanceTab.control.run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--once", action="store_true", help="one repeat, as JSON; for this program itself")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once()))
        return
    command = [sys.executable, __file__, "--once"]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(options.repeats)]
    repeats = [json.loads(one.stdout.strip().splitlines()[-1]) for one in done]
    print(f"| seconds, {options.repeats} repeats | median | worst |\n|---|--:|--:|")
    for title, key in ROWS.items():
        values = [repeat[key] for repeat in repeats]
        print(f"| {title} | {statistics.median(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
