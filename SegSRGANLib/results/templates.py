"""The pages as templates (Jinja), with their style and their few lines of script inside."""

_STYLE = """
:root { color-scheme: dark; --cut: 50%; }
body { font: 15px/1.45 system-ui, sans-serif; background: #14161a; color: #e8e8e8; margin: 0 auto; padding: 1.2rem;
  max-width: 1200px; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 1.8rem; }
.notice { color: #9aa0a8; font-size: .85rem; }
.warnings li { color: #ffb454; margin: .2rem 0; } .fine { color: #7bd88f; }
table { border-collapse: collapse; } td, th { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid #333; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.controls { position: sticky; top: 0; background: #14161aee; padding: .5rem 0; z-index: 2; display: flex; gap: 1rem;
  flex-wrap: wrap; align-items: center; }
.controls input[type=range] { width: 16rem; }
.planes { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; } figcaption { color: #9aa0a8; font-size: .85rem; }
.view { position: relative; width: 370px; background: #000; overflow: hidden; }
.view img { position: absolute; inset: 0; width: 100%; height: 100%; image-rendering: pixelated; }
.view .right { clip-path: inset(0 0 0 var(--cut)); }
.view .line { position: absolute; top: 0; bottom: 0; left: var(--cut); width: 1px; background: #fff8;
  z-index: 3; }
a { color: #8ab4ff; } th[data-sort] { cursor: pointer; } tr.failed td { color: #ff7a6b; }
#cohort { font-size: .9rem; white-space: nowrap; } #cohort td.reason, #cohort td.warnings { white-space: normal;
  min-width: 20rem; } .cohort { max-width: none; }
svg { background: #1b1e24; } svg text { fill: #9aa0a8; font-size: 11px; } svg circle { fill: #8ab4ff; opacity: .7; }
"""

SUBJECT = (
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ name }} - SegSRGAN</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>"""
    + _STYLE
    + """</style></head><body>
<h1>{{ name }}</h1><p class="notice">{{ notice }}</p>
{% if warnings %}<ul class="warnings">{% for text in warnings %}<li>{{ text }}</li>{% endfor %}</ul>
{% else %}<p class="fine">No measure of quality is beyond its limit.</p>{% endif %}
<div class="controls">
<label>left <select id="left">{% for key, title in volumes.items() %}<option value="{{ key }}">{{ title }}</option>
{% endfor %}</select></label>
<input type="range" id="cut" min="0" max="100" value="50" aria-label="swipe">
<label>right <select id="right">{% for key, title in volumes.items() %}<option value="{{ key }}"
{% if key == "result" %} selected{% endif %}>{{ title }}</option>{% endfor %}</select></label>
{% for key, title in overlays.items() %}<label><input type="checkbox" class="overlay" value="{{ key }}"
{% if key == "outline" %} checked{% endif %}> {{ title }}</label>{% endfor %}
</div>
{% for title, planes in sections %}<h2>{{ title }}</h2><div class="planes">
{% for plane in planes %}<figure><div class="view" style="aspect-ratio: {{ plane.width }} / {{ plane.height }}">
{% for key, data in plane.layers.items() %}<img data-layer="{{ key }}" alt="{{ plane.name }}, {{ key }}"
src="{{ data }}">{% endfor %}<div class="line"></div></div>
<figcaption>{{ plane.name }}</figcaption></figure>{% endfor %}
</div>{% endfor %}
<h2>Numbers</h2><table>{% for label, value in numbers %}<tr><td>{{ label }}</td><td class="number">{{ value }}</td></tr>
{% endfor %}</table>
<h2>Made with</h2><table>{% for label, value in origin %}<tr><td>{{ label }}</td><td>{{ value }}</td></tr>
{% endfor %}</table>
<script>
const find = id => document.getElementById(id);
function draw() {
  document.documentElement.style.setProperty("--cut", find("cut").value + "%");
  const shown = [...document.querySelectorAll(".overlay:checked")].map(box => box.value);
  document.querySelectorAll(".view").forEach(view => {
    view.querySelectorAll("img").forEach(img => {
      const layer = img.dataset.layer, left = layer === find("left").value, right = layer === find("right").value;
      img.hidden = !(left || right || shown.includes(layer));
      img.className = right && !left ? "right" : "";
      img.style.zIndex = shown.includes(layer) ? 2 : right ? 1 : 0;
    });
  });
}
document.querySelectorAll("select, input").forEach(control => control.addEventListener("input", draw));
draw();
</script></body></html>
"""
)

COHORT = (
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }} - SegSRGAN</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>"""
    + _STYLE
    + """</style></head><body class="cohort">
<h1>{{ title }}</h1><p class="notice">{{ notice }}</p>
<p>{{ counts }}</p>
{% for plot in plots %}<figure><svg width="560" height="64" role="img" aria-label="{{ plot.title }}">
<line x1="20" x2="540" y1="38" y2="38" stroke="#444"/>{% for x, y, label in plot.points %}
<circle cx="{{ x }}" cy="{{ y }}" r="4"><title>{{ label }}</title></circle>{% endfor %}
<text x="20" y="58">{{ plot.low }}</text><text x="540" y="58" text-anchor="end">{{ plot.high }}</text>
<text x="20" y="14">{{ plot.title }}</text></svg></figure>{% endfor %}
<h2>Volumes, worst first</h2><p class="notice">Click a heading to sort by it.</p>
<table id="cohort"><thead><tr>{% for name, help in columns.items() %}<th data-sort title="{{ help }}">{{ name }}</th>
{% endfor %}</tr></thead><tbody>
{% for row in rows %}<tr class="{{ row.status }}">{% for name in columns %}
<td class="{{ "number" if row[name] is number else name }}">
{%- if name == "name" and row.page %}<a href="{{ row.page }}">{{ row.name }}</a>
{% else %}{{ "" if row[name] is none else row[name] }}{% endif %}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>
<script>
const body = document.querySelector("#cohort tbody");
document.querySelectorAll("th[data-sort]").forEach((head, column) => head.addEventListener("click", () => {
  const down = head.dataset.sort === "up";
  document.querySelectorAll("th[data-sort]").forEach(other => other.dataset.sort = "");
  head.dataset.sort = down ? "down" : "up";
  const value = row => row.cells[column].textContent.trim();
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");  // what is missing stays at the end
    const compared = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -compared : compared;
  };
  [...body.rows].sort(order).forEach(row => body.append(row));
}));
</script></body></html>
"""
)
