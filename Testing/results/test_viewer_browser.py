"""The viewer in a real browser: what is drawn where, what a click and the wheel do, what leaves the page."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
from support.chromium import chromium  # noqa: F401 (a fixture)
from support.results_on_disk import write_result

from SegSRGANLib.data.classes import TISSUES
from SegSRGANLib.results.viewer.page import render_list, write_view
from SegSRGANLib.results.viewer.server import ResultServer
from SegSRGANLib.results.viewer.study import find_studies

HOSTILE = "<img src=x onerror=document.title='taken'>"
# mm RAS: in the middle of the block (the patient's right, anterior, superior), and its mirror image
INSIDE, MIRRORED = (6.0, 5.0, 5.0), (-6.0, 5.0, 5.0)
# the colour where a view draws a point of the anatomy, and where that is as shares of the canvas
COLOUR = """(() => {{
  const view = views[{view}], gl = view.gl
  view.scene.crosshairPos = view.mm2frac([0, -9, {mm[2]}])
  view.drawScene()
  const [x, y] = view.frac2canvasPos(view.mm2frac([{mm[0]}, {mm[1]}, {mm[2]}]))
  const pixel = new Uint8Array(4)
  gl.readPixels(Math.round(x), gl.drawingBufferHeight - Math.round(y), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel)
  return [...pixel.slice(0, 3), x / gl.drawingBufferWidth]
}})()"""
CENTRE = """(id => {
  const box = document.getElementById(id).getBoundingClientRect()
  return [box.x + box.width / 2, box.y + box.height / 2]
})"""
LIT = """(view => {
  view.drawScene()
  const gl = view.gl, width = gl.drawingBufferWidth, height = gl.drawingBufferHeight
  const pixels = new Uint8Array(4 * width * height)
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels)
  return pixels.filter((value, i) => i % 4 === 1 && value > 40).length / (width * height)
})(views[1])"""
POSITION = "views.map(view => [...view.frac2mm(view.scene.crosshairPos)].slice(0, 3))"


def slide(role, value):
    return (
        f"(s => {{ s.value = {value}; s.dispatchEvent(new Event('input')) }})"
        f"(document.querySelector('[data-role={role}]'))"
    )


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):  # noqa: F811
    """One self-contained page with everything hostile, open in the axial plane."""
    folder = tmp_path_factory.mktemp("results")
    verdict = {"word": "look closely", "reasons": [HOSTILE], "predicted_dice": 0.8}
    write_result(folder, HOSTILE, warnings=["</script><script>document.title='taken'</script>"], verdict=verdict)
    write_view(find_studies(folder)[0], folder / "page.html")
    chromium.open((folder / "page.html").as_uri())
    chromium.run("document.querySelector('[data-slices=\"0\"]').click()")
    return chromium


@pytest.mark.slow
def test_it_opens_alone_and_quickly(page):
    assert not page.problems()
    assert [address.split(":")[0] for address in page.requests()] == ["file"]  # the page itself
    assert page.run("document.title") == f"{HOSTILE} - SegSRGAN"
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.getElementById('verdict').innerText").startswith("look closely")
    assert page.run("Number(document.body.dataset.firstPicture)") < 30_000


@pytest.mark.parametrize("view", [0, 1])
def test_the_overlay_is_where_the_segmentation_is(page, view):
    page.run(slide("labels", 100))
    page.run("views.forEach(view => view.setInterpolation(true))")
    red, green, blue, across = page.run(COLOUR.format(view=view, mm=INSIDE))
    assert (red, green, blue) == pytest.approx((240, 140, 51), abs=3)
    assert across < 0.5  # the patient's right is on the left
    red, green, blue, across = page.run(COLOUR.format(view=view, mm=MIRRORED))
    assert red == green == blue and across > 0.5
    page.run(slide("labels", 50))
    half = page.run(COLOUR.format(view=view, mm=INSIDE))[:3]
    page.run(slide("labels", 0))
    none = page.run(COLOUR.format(view=view, mm=INSIDE))[:3]
    assert none[0] == none[1] == none[2]
    assert half == pytest.approx([(a + b) / 2 for a, b in zip((240, 140, 51), none, strict=True)], abs=6)


def test_a_map_is_drawn_above_its_threshold(page):
    page.run(slide("labels", 0))
    page.run(slide("consistency", 100))
    red, green, blue, _ = page.run(COLOUR.format(view=1, mm=INSIDE))
    assert blue > red  # -6 standard deviations: too dark, in cold colours
    red, green, blue, _ = page.run(COLOUR.format(view=1, mm=MIRRORED))
    assert red == green == blue
    page.run(slide("consistency", 0))


def test_a_click_and_the_wheel_move_both_views(page):
    before = page.run(POSITION)
    page.click(*page.run(f"{CENTRE}('canvas-sr')"))
    clicked = page.run(POSITION)
    assert clicked[0] == pytest.approx(clicked[1], abs=1.6)  # voxels of the scan are 3 mm thick
    assert clicked != before
    page.scroll(*page.run(f"{CENTRE}('canvas-sr')"), 120)
    scrolled = page.run(POSITION)
    assert scrolled[1][2] != clicked[1][2]
    assert scrolled[0][2] == pytest.approx(scrolled[1][2], abs=1.6)


def test_a_place_is_jumped_to_and_said_in_words(page):
    page.run("document.querySelector('[data-place]').click()")
    wanted = page.run("facts.places[0].mm")
    for position in page.run(POSITION):
        assert position == pytest.approx(wanted, abs=0.6)
    said = page.run("document.getElementById('location').innerText")
    assert all(word in said for word in ("right", "anterior", "superior"))


def test_every_view_draws_something(page):
    for slices in range(5):
        page.run(f"document.querySelector('[data-slices=\"{slices}\"]').click()")
        assert page.run(LIT) > 0.02, slices
    assert not page.problems()


@pytest.mark.slow
def test_seven_tissues_and_the_brain_mask_have_their_colours_and_names(chromium, tmp_path):  # noqa: F811
    files = [f"a_{role}.nii.gz" for role in ("sr", "segmentation", "brain-mask")]
    write_result(tmp_path, "a", maps=False, classes=list(TISSUES), files=files)
    block = sitk.ReadImage(str(tmp_path / "a_cortex.nii.gz"))
    bands = np.broadcast_to(np.arange(24, dtype=np.uint8) // 3 + 1, (24, 24, 24)) % 8  # 1 to 7 from the right, then 0
    for name, array in zip(files[1:], (bands, np.ones_like(bands)), strict=True):
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(block)
        sitk.WriteImage(image, str(tmp_path / name))
    write_view(find_studies(tmp_path)[0], tmp_path / "page.html")
    chromium.open((tmp_path / "page.html").as_uri())
    chromium.run("document.querySelector('[data-slices=\"0\"]').click()")
    chromium.run("views.forEach(view => view.setInterpolation(true))")
    chromium.run(slide("labels", 100))
    for number, tissue in enumerate(TISSUES.values(), start=1):
        seen = chromium.run(COLOUR.format(view=1, mm=(13.5 - 3 * number, 5.0, 5.0)))[:3]
        assert seen == pytest.approx(tissue.colour, abs=3), tissue.name
        swatch = f"getComputedStyle(document.querySelector('#volumes .class-{number}')).backgroundColor"
        assert chromium.run(swatch) == f"rgb{tissue.colour}".replace("'", ""), tissue.name
    assert chromium.run("document.getElementById('volumes').innerText").split("\n")[0].startswith("cortex")
    chromium.run(slide("labels", 0))
    chromium.run(slide("brain", 100))
    assert chromium.run(COLOUR.format(view=0, mm=INSIDE))[:3] == pytest.approx((59, 200, 255), abs=3)
    assert not chromium.problems()


def test_the_server_s_pages(chromium, tmp_path):  # noqa: F811
    write_result(tmp_path, "a")
    server = ResultServer(find_studies(tmp_path))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        chromium.open(server.address)
        assert not chromium.problems()
        assert all(address.startswith(server.address) for address in chromium.requests())
        assert {address.rsplit("/", 1)[1] for address in chromium.requests()} == {
            "", "scan.nii", "sr.nii", "labels.nii", "consistency.nii"
        }  # fmt: skip
        assert chromium.run("document.querySelectorAll('canvas').length") == 2
    finally:
        server.shutdown()
        server.server_close()


def test_a_narrow_window_keeps_the_pictures(page):
    page.send("Emulation.setDeviceMetricsOverride", width=500, height=700, deviceScaleFactor=1, mobile=False)
    assert page.run("document.getElementById('canvas-sr').getBoundingClientRect().height") > 200
    page.send("Emulation.clearDeviceMetricsOverride")


def test_long_reasons_do_not_break_the_names_of_the_list(chromium, tmp_path):  # noqa: F811
    verdict = {"word": "look closely", "reasons": ["The field of view cuts the brain, and so on. " * 6]}
    write_result(tmp_path, "sub-03_T2w", maps=False, verdict=verdict)
    (tmp_path / "list.html").write_text(render_list(find_studies(tmp_path), "n"))
    chromium.send("Page.navigate", url=(tmp_path / "list.html").as_uri())
    lines = "(link => link ? link.getClientRects().length : 0)(document.querySelector('#results a'))"
    while not (drawn := chromium.run(lines)):
        time.sleep(0.05)
    assert drawn == 1
