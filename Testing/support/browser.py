"""Pages in a browser without a window."""

import re
import shutil
import subprocess

import pytest

pytest.importorskip("jinja2", reason="needs the extra report")


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Open a page in headless Chromium, run a script in it, and return the page as it then is."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    profile = tmp_path_factory.mktemp("profile")

    def browse(path, script):
        copy = path.with_name("driven.html")
        catch = "window.onerror = m => { document.title = 'Error: ' + m; };"
        text = path.read_text().replace("<head>", f"<head><script>{catch}</script>")
        copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
        done = subprocess.run([program, *options, copy.as_uri()], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return browse


def page_title(dom):
    return re.search(r"<title>(.*?)</title>", dom, re.DOTALL).group(1)
