"""Models are listed, downloaded, imported and removed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from SegSRGANLib.models import brain_extractor
from SegSRGANLib.models import registry as weights
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_model, save_checkpoint
from SegSRGANLib.models.registry import list_models, user_models_folder
from SegSRGANLib.models.store import GENERATORS, download_model, free_name, import_model, remove_model
from SegSRGANLib.networks.brain_extractor import BrainExtractor, BrainExtractorConfig
from SegSRGANLib.networks.factory import ARCHITECTURES
from SegSRGANLib.networks.segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from SegSRGANLib.utils.errors import CheckpointError, DownloadError

KERAS_FILE = Path(__file__).parent / "data" / "original-plain.h5"


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
        assert import_model(tmp_path / "mine.safetensors").name == "mine"  # it is there already
        assert free_name("mine", tmp_path / "mine.safetensors") == "mine"
        save_checkpoint(tmp_path / "mine.safetensors", Generator(GeneratorConfig(1, 1)), ModelCard(title="My own"))
        assert free_name("mine", tmp_path / "mine.safetensors") == "mine-2"
        assert free_name("segsrgan", tmp_path / "mine.safetensors") == "segsrgan-2"
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
        assert json.loads(run("info", "original", "--json")[1])["architecture"] == "KerasGenerator"
        assert run("remove", "original") == (0, "Removed original.\n")
        assert run("remove", "original")[0] == 1
        status, answer = run("import", str(KERAS_FILE), "--progress", "json")
        assert status == 0 and json.loads(answer.splitlines()[-1])["name"] == "original"


def test_the_networks_that_predict_images_are_known_without_torch():
    assert {name for name, (_, network) in ARCHITECTURES.items() if network is not Discriminator} == set(GENERATORS)


def test_the_released_files_are_listed_with_their_fingerprints():
    entries = [entry for entry in weights.listed_models() if "koopa31" in entry.url]
    assert len(entries) == 5
    for entry in entries:
        assert len(bytes.fromhex(entry.git_blob_sha1)) == 20
        assert "/cc393b9/data/weights/Perso_" in entry.url
        assert entry.licence == "CeCILL-B"


class TestWithoutWeights:
    """A package built without the weights: the bundled models come from the release."""

    @pytest.fixture
    def emptied(self, catalogue, tmp_path, monkeypatch):
        file = tmp_path / "bundled.safetensors"
        catalogue.content = file.read_bytes()
        listed = json.loads((tmp_path / "models.json").read_text())
        listed["models"][1] |= {"sha256": hashlib.sha256(catalogue.content).hexdigest()}
        (tmp_path / "models.json").write_text(json.dumps(listed))
        file.unlink()
        return catalogue

    def test_a_missing_weight_file_says_how_to_get_it(self, emptied):
        with pytest.raises(CheckpointError, match="segsrgan models download segsrgan"):
            load_model("segsrgan", "cpu")
        with pytest.raises(CheckpointError, match="SEGSRGAN_MODELS_URL"):
            download_model("segsrgan")

    def test_it_is_downloaded_from_the_release_and_checked(self, emptied, monkeypatch):
        monkeypatch.setenv("SEGSRGAN_MODELS_URL", emptied.url.removesuffix("/file"))
        assert download_model("segsrgan").url.endswith("/bundled.safetensors")
        assert load_model("segsrgan", "cpu").card.title == "Bundled"
        remove_model("segsrgan")
        emptied.content = emptied.content[:-1] + b"x"
        with pytest.raises(DownloadError, match="not the expected file"):
            download_model("segsrgan")

    def test_the_brain_extractor_is_downloaded_too(self, emptied, tmp_path, monkeypatch):
        read = brain_extractor.read_brain_extractor
        monkeypatch.setattr(brain_extractor, "models_folder", weights.models_folder)
        tensors = BrainExtractor(BrainExtractorConfig((2, 2))).state_dict()
        save_file(tensors, tmp_path / "e", {"config": '{"channels": [2, 2]}'})
        emptied.content = (tmp_path / "e").read_bytes()
        listed = json.loads((tmp_path / "models.json").read_text())
        sha256 = hashlib.sha256(emptied.content).hexdigest()
        listed["brain_extractors"] = [{"name": "finder", "title": "F", "file": "finder.safetensors", "sha256": sha256}]
        (tmp_path / "models.json").write_text(json.dumps(listed))
        load = brain_extractor.load_brain_extractor.__wrapped__
        with pytest.raises(CheckpointError, match="segsrgan models download brain-extractor"):
            load(torch.device("cpu"))
        monkeypatch.setenv("SEGSRGAN_MODELS_URL", emptied.url.removesuffix("/file"))
        entry = download_model("finder")
        assert load(torch.device("cpu")).config == read(entry.path, torch.device("cpu")).config
        assert "finder" not in {listed.name for listed in weights.list_models()}
        entry.path.write_bytes(emptied.content[:-1] + b"x")
        with pytest.raises(CheckpointError, match="damaged"):
            load(torch.device("cpu"))


def test_every_bundled_model_has_a_fingerprint():
    for entry in [*weights.listed_models(), weights.brain_extractor_entry()]:
        assert entry.fingerprint and (not entry.file or (entry.sha256 and entry.size)), entry.name
