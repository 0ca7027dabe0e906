"use strict"
// The page of one result: scan and super-resolution side by side, linked, with segmentation and maps above them.

const facts = JSON.parse(document.getElementById("facts").textContent)
const status = document.getElementById("status")
const views = []

/** The bytes of a volume: inside the page, or from the server that it came from. */
async function content(role) {
  const inside = document.getElementById("volume-" + role)
  if (inside) return Uint8Array.from(atob(inside.textContent), letter => letter.charCodeAt(0)).buffer
  const answer = await fetch(facts.address + role + ".nii")
  if (!answer.ok) throw new Error(`the volume ${role} cannot be read (${answer.status})`)
  return answer.arrayBuffer()
}

/** Colours of a segmentation: label 0 transparent, then one for each class. */
function colours(layer) {
  const channel = index => [0, ...layer.colours.map(colour => colour[index])]
  const opaque = [0, ...layer.colours.map(() => 255)]
  return { R: channel(0), G: channel(1), B: channel(2), A: opaque, I: opaque.map((_, label) => label), labels: ["", ...layer.names] }
}

/** One volume as NiiVue has it. Maps are transparent below the value from which they matter. */
async function image(layer, buffer) {
  const slider = document.querySelector(`#overlays [data-role="${layer.role}"]`)
  const options = { url: buffer.slice(0), name: layer.role + (facts.address ? ".nii" : ".nii.gz") }
  options.opacity = slider ? slider.value / 100 : 1
  if (layer.kind === "grey") Object.assign(options, { colormap: "gray", cal_min: layer.low, cal_max: layer.high })
  if (layer.role === "consistency") Object.assign(options, { colormap: "warm", colormapNegative: "winter", cal_min: 3, cal_max: 8 })
  else if (layer.kind === "map") Object.assign(options, { colormap: "viridis", cal_min: layer.high / 10, cal_max: layer.high })
  const volume = await niivue.NVImage.loadFromUrl(options)
  if (layer.kind === "labels") volume.setColormapLabel(colours(layer))
  return volume
}

/** A picture of one grey volume, with what lies above it. */
async function addView(base, overlays, buffers) {
  const figure = document.createElement("figure")
  const frame = document.createElement("div")
  const caption = document.createElement("figcaption")
  const canvas = document.createElement("canvas")
  figure.className = "view"
  frame.className = "frame"
  caption.textContent = base.title
  canvas.id = "canvas-" + base.role
  canvas.tabIndex = 0
  frame.append(canvas)
  figure.append(caption, frame)
  document.getElementById("views").append(figure)
  const view = new niivue.Niivue({
    isRadiologicalConvention: true, isOrientationTextVisible: true, dragAndDropEnabled: false, logLevel: "error",
    crosshairColor: [0.35, 0.75, 1, 0.8], crosshairWidth: 0.6, multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
    loadingText: "", show3Dcrosshair: true, showAllOrientationMarkers: true, fontColor: [1, 0.85, 0.4, 1],
    fontMinPx: 15, fontSizeScaling: 0.5, multiplanarPadPixels: 18, clipPlaneColor: [0, 0, 0, 0], isClipAllVolumes: true
  })
  await view.attachToCanvas(canvas)
  const images = []
  for (const layer of [base, ...overlays]) images.push(await image(layer, await buffers[layer.role]))
  // all at once: addVolume() would draw every layer again for each one
  view.volumes = images
  view.back = images[0]
  view.overlays = images.slice(1)
  view.updateGLVolume()
  view.layers = overlays.map(layer => layer.role)
  canvas.addEventListener("pointerdown", () => canvas.focus())
  canvas.addEventListener("pointerenter", () => canvas.focus({ preventScroll: true }))
  views.push(view)
}

function setOpacity(slider) {
  for (const view of views) view.setOpacity(1 + view.layers.indexOf(slider.dataset.role), slider.value / 100)
}

function showPlanes(button) {
  for (const other of document.querySelectorAll("#planes button")) other.setAttribute("aria-pressed", String(other === button))
  const slices = Number(button.dataset.slices)
  document.getElementById("cut").hidden = slices !== niivue.SLICE_TYPE.RENDER
  for (const view of views) view.setSliceType(slices)
}

/** Cut the 3D rendering open; NiiVue measures depth in shares of the volume, and 2 cuts nothing. */
function setCut(value) {
  for (const view of views) view.setClipPlane(value >= 60 ? [2, 0, 0] : [value / 100, 270, 0])
}

function jump(place) {
  for (const view of views) {
    view.scene.crosshairPos = view.mm2frac(place.mm)
    view.createOnLocationChange()
    view.drawScene()
  }
}

function describeLocation(location) {
  const [x, y, z] = location.mm
  const words = (value, positive, negative) => `${Math.abs(value).toFixed(0)} mm ${value < 0 ? negative : positive}`
  document.getElementById("location").textContent =
    [words(x, "right", "left"), words(y, "anterior", "posterior"), words(z, "superior", "inferior")].join(", ")
}

function listen() {
  const on = (selector, event, action) => document.querySelectorAll(selector).forEach(item => item.addEventListener(event, () => action(item)))
  on("#overlays input", "input", setOpacity)
  on("#planes button", "click", showPlanes)
  on("#cut input", "input", slider => setCut(Number(slider.value)))
  on("#places button", "click", button => jump(facts.places[Number(button.dataset.place)]))
  on("#outline", "change", box => views.forEach(view => view.setAtlasOutline(box.checked ? 1 : 0)))
  on("#smooth", "change", box => views.forEach(view => view.setInterpolation(!box.checked)))
  views.forEach(view => { view.onLocationChange = describeLocation })
  if (views.length === 2) {
    views[0].broadcastTo([views[1]], { "2d": true, "3d": true })
    views[1].broadcastTo([views[0]], { "2d": true, "3d": true })
  }
}

async function start() {
  if (!document.createElement("canvas").getContext("webgl2")) throw new Error("this browser has no WebGL 2")
  const buffers = Object.fromEntries(facts.layers.map(layer => [layer.role, content(layer.role)]))
  const overlays = facts.layers.filter(layer => layer.kind !== "grey")
  for (const base of facts.layers.filter(layer => layer.kind === "grey")) {
    await addView(base, overlays, buffers)
    status.textContent = ""
    document.body.dataset.firstPicture ??= Math.round(performance.now())
  }
  listen()
  document.body.dataset.ready = Math.round(performance.now())
}

window.addEventListener("DOMContentLoaded", () => start().catch(error => {
  status.textContent = `Nothing can be shown: ${error.message}.`
  status.className = "error"
  document.body.dataset.ready = "failed"
}))
