"""Downloads against a local server that behaves badly, and the user's model folder."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from SegSRGANLib.models import download as downloads
from SegSRGANLib.models import registry as weights
from SegSRGANLib.models.checkpoint import CheckpointError, ModelCard, save_checkpoint
from SegSRGANLib.models.download import DownloadError, Fingerprint, fetch
from SegSRGANLib.models.registry import list_models, load_model, user_models_folder
from SegSRGANLib.models.store import download_model, import_model, remove_model
from SegSRGANLib.networks.segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from SegSRGANLib.utils.progress import Cancelled

CONTENT = np.random.default_rng(0).bytes(1_500_000)
PRINT = Fingerprint(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
KERAS_FILE = Path(__file__).parent / "data" / "original-plain.h5"


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; `drops` lists after how many bytes each next answer breaks off."""

    content = CONTENT
    ranges = True
    status = 0
    length = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.drops: list[int] = []
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/file"

    def handle_error(self, *_) -> None:
        """A client that hangs up is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status:
            return self.send_error(server.status)
        start = int(asked[6:-1]) if asked and server.ranges else 0
        if start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.drops.pop(0)] if server.drops else body)
        return None

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_file_arrives_whole_with_rising_progress(server, tmp_path):
    seen = []
    fetch(server.url, tmp_path / "new" / "file", PRINT, lambda fraction, message: seen.append(fraction))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.drops = [500_000, 300_000]
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=800000-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.drops, server.ranges = [500_000], False
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_lengths_is_enough(server, tmp_path):
    server.length = False
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_sends_nothing_more_is_given_up_and_resumed_later(server, tmp_path):
    server.drops = [500_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="500000 of 1500000 bytes arrived.*try again"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert not (tmp_path / "file").exists()
    server.drops = []
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=500000-"


def test_cancelling_keeps_what_arrived(server, tmp_path):
    calls = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        fetch(server.url, tmp_path / "file", PRINT, should_stop=lambda: next(calls, True))
    assert 0 < (tmp_path / "file.part").stat().st_size < len(CONTENT)
    fetch(server.url, tmp_path / "file", PRINT)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_other_content_is_removed_and_refused(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="not the expected file"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert not list(tmp_path.iterdir())


def test_a_wrong_beginning_does_not_stay_forever(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * len(CONTENT))
    fetch(server.url, tmp_path / "file", PRINT)  # the server answers 416: nothing left to send
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [True, False], ids=["announced", "endless"])
def test_more_than_expected_is_refused(length, server, tmp_path):
    server.content, server.length = CONTENT + b"more", length
    with pytest.raises(DownloadError, match="more than the 1500000"):
        fetch(server.url, tmp_path / "file", PRINT)


@pytest.mark.parametrize("status", [404, 403, 500])
def test_an_error_of_the_server_is_named(status, server, tmp_path):
    server.status = status
    with pytest.raises(DownloadError, match=f"answers {status}"):
        fetch(server.url, tmp_path / "file", PRINT)
    assert len(server.asked) == 1


def test_no_connection_is_one_sentence(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="import it") as caught:
        fetch(server.url, tmp_path / "file", PRINT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "weights.h5"])
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(DownloadError, match="not an http"):
        fetch(url, tmp_path / "file", PRINT)


def test_a_full_disk_is_found_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DownloadError, match="0 MB free, but 1 MB are needed"):
        fetch(server.url, tmp_path / "file", PRINT)


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "models").write_text("a file, not a folder")
    with pytest.raises(DownloadError, match="SEGSRGAN_HOME"):
        fetch(server.url, tmp_path / "models" / "file", PRINT)


def test_git_names_a_file_by_size_and_content(tmp_path):
    (tmp_path / "file").write_bytes(b"hello\n")
    assert Fingerprint(git_blob_sha1="ce013625030ba8dba906f756967f9e9ca394464a").matches(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"hello")
    assert not Fingerprint(git_blob_sha1="ce013625030ba8dba906f756967f9e9ca394464a").matches(tmp_path / "file")


@pytest.fixture
def catalogue(server, tmp_path, monkeypatch):
    """A models.json of our own: one weight file of the original project, served locally."""
    content = KERAS_FILE.read_bytes()
    server.content = content
    name = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry = {"name": "original", "title": "Original", "licence": "CeCILL-B", "url": server.url, "git_blob_sha1": name}
    save_checkpoint(tmp_path / "bundled.safetensors", Generator(GeneratorConfig(2, 1)), ModelCard(title="Bundled"))
    bundled = {"name": "segsrgan", "title": "Bundled", "file": "bundled.safetensors"}
    (tmp_path / "models.json").write_text(json.dumps({"models": [entry, bundled]}))
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path / "home"))
    return server


@pytest.mark.usefixtures("catalogue")
class TestModels:
    def test_listing_and_loading_download_nothing(self, catalogue):
        assert [(entry.name, entry.installed) for entry in list_models()] == [
            ("segsrgan", True),
            ("original", False),
        ]
        with pytest.raises(CheckpointError, match="segsrgan models download original"):
            load_model("original", "cpu")
        assert not catalogue.asked
        assert not user_models_folder().exists()

    def test_a_downloaded_original_is_converted_and_removed_again(self, catalogue):
        pytest.importorskip("h5py")
        entry = download_model("original")
        model = load_model("original", "cpu")
        assert model.card.licence == "CeCILL-B" and model.card.normalization.rule == "maximum"
        assert [path.name for path in user_models_folder().iterdir()] == ["original.safetensors"]
        assert download_model("original") == entry and len(catalogue.asked) == 1
        remove_model("original")
        assert not list(user_models_folder().iterdir())
        with pytest.raises(CheckpointError, match="not on this computer"):
            remove_model("original")

    def test_a_file_fetched_elsewhere_is_recognized(self, tmp_path):
        pytest.importorskip("h5py")
        file = Path(shutil.copy(KERAS_FILE, tmp_path / "some name"))
        assert import_model(file).name == "original"
        assert load_model("original", "cpu").card.title == "Original"

    def test_an_unknown_original_gets_the_name_of_its_file(self, tmp_path):
        h5py = pytest.importorskip("h5py")
        file = Path(shutil.copy(KERAS_FILE, tmp_path / "My weights (v2).h5"))
        with h5py.File(file, "a") as stored:
            stored.attrs["changed"] = 1
        assert import_model(file).name == "My-weights-v2"
        assert "My weights (v2).h5" in load_model("My-weights-v2", "cpu").card.description

    def test_own_models_are_listed_after_the_others(self, tmp_path):
        save_checkpoint(tmp_path / "mine.safetensors", Generator(GeneratorConfig(2, 1)), ModelCard(title="My own"))
        import_model(tmp_path / "mine.safetensors")
        assert [(entry.name, entry.title) for entry in list_models()][2:] == [("mine", "My own")]
        with pytest.raises(CheckpointError, match="already"):
            import_model(tmp_path / "mine.safetensors")
        import_model(tmp_path / "mine.safetensors", overwrite=True)
        import_model(tmp_path / "mine.safetensors", name="other")
        assert load_model("other", "cpu").card.title == "My own"

    @pytest.mark.parametrize("name", ["../evil", "a/b", "", "original", "segsrgan", ".hidden"])
    def test_names_that_cannot_be(self, name, tmp_path):
        save_checkpoint(tmp_path / "mine.safetensors", Generator(GeneratorConfig(2, 1)), ModelCard())
        if name == "":
            (tmp_path / "---.safetensors").write_bytes((tmp_path / "mine.safetensors").read_bytes())
            with pytest.raises(CheckpointError, match="cannot be named"):
                import_model(tmp_path / "---.safetensors")
            return
        with pytest.raises(CheckpointError, match="cannot be named"):
            import_model(tmp_path / "mine.safetensors", name=name)

    def test_what_does_not_predict_is_refused(self, tmp_path):
        save_checkpoint(tmp_path / "critic.safetensors", Discriminator(DiscriminatorConfig(1)), ModelCard())
        with pytest.raises(CheckpointError, match="does not predict"):
            import_model(tmp_path / "critic.safetensors")
        assert not user_models_folder().exists()

    def test_bundled_models_stay(self):
        with pytest.raises(CheckpointError, match="came with the software"):
            remove_model("segsrgan")

    def test_a_damaged_own_model_does_not_spoil_the_list(self):
        user_models_folder().mkdir(parents=True)
        (user_models_folder() / "broken.safetensors").write_bytes(b"nothing")
        assert list_models()[-1].title == "Cannot be used"

    def test_the_commands(self, tmp_path):
        typer_testing = pytest.importorskip("typer.testing")
        pytest.importorskip("h5py")
        from SegSRGANLib.cli.models import app

        def run(*arguments: str) -> tuple[int, str]:
            result = typer_testing.CliRunner().invoke(app, list(arguments))
            return result.exit_code, result.output

        assert run("download", "original", "--progress", "none")[0] == 0
        status, listing = run("list")
        assert status == 0 and "original  installed" in listing
        assert json.loads(run("info", "original", "--json")[1])["architecture"] == "OriginalGenerator"
        assert run("remove", "original") == (0, "Removed original.\n")
        assert run("remove", "original")[0] == 1
        status, answer = run("import", str(KERAS_FILE), "--progress", "json")
        assert status == 0 and json.loads(answer.splitlines()[-1])["name"] == "original"


def test_the_released_files_are_listed_with_their_fingerprints():
    entries = [entry for entry in weights.listed_models() if "koopa31" in entry.url]
    assert len(entries) == 5
    for entry in entries:
        assert len(bytes.fromhex(entry.git_blob_sha1)) == 20
        assert "/cc393b9/data/weights/Perso_" in entry.url
        assert entry.licence == "CeCILL-B"
