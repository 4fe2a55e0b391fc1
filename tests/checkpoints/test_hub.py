"""The hub, played by a server on this machine: what comes down, what the cache does alone, what is said otherwise."""

import json
import threading
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.errors import CheckpointUnavailable, CorruptedCheckpoint, ModelWarning, UnknownName
from sonant.models.catalog import CATALOG

COMMITS = {"main": "a" * 40, "v2": "b" * 40}
REPOSITORY = "someone/tiny"


class Hub:
    """Repositories as {(repository, revision): {file name: bytes}}, and a log of what was asked."""

    def __init__(self):
        self.files = {}
        self.refusals = {}
        self.asked = []

    def publish(self, folder, repository=REPOSITORY, revision="main"):
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.files[repository, COMMITS[revision]] = files

    def answer(self, path):
        """(status, headers, body) of a request."""
        owner, name, _, revision, *rest = path.strip("/").split("/")
        repository, file = f"{owner}/{name}", "/".join(rest)
        self.asked.append(file)
        if repository in self.refusals:
            status, code = self.refusals[repository]
            return status, {"X-Error-Code": code, "X-Error-Message": "no"}, b""
        if not any(known == repository for known, _ in self.files):
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        commit = COMMITS.get(revision, revision)
        if (repository, commit) not in self.files:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        body = self.files[repository, commit].get(file)
        if body is None:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{sha1(body, usedforsecurity=False).hexdigest()}"'}, body


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub at a loopback address, and an empty cache."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.respond(send_body=False)

        def do_GET(self):
            self.respond(send_body=True)

        def respond(self, *, send_body):
            status, headers, body = state.answer(self.path.partition("?")[0])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if send_body:
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    state.address, state.stop = address, server.shutdown
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def published(hub, tmp_path, checkpoint_of):
    """A checkpoint on the hub."""
    checkpoint = checkpoint_of("wavlm", "layer", heads=["ctc"])
    save_checkpoint(tmp_path / "upload", checkpoint, to="hf")
    hub.publish(tmp_path / "upload")
    return checkpoint


def close(hub, monkeypatch):
    """Nothing listens any more at the hub's address."""
    hub.stop()
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nowhere)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere + "/{repo_id}/resolve/{revision}/{filename}"
    )


def test_download_then_offline(hub, published, monkeypatch):
    got = load_checkpoint(REPOSITORY)
    assert not differing(got.backbone_state, published.backbone_state)
    assert got.heads["ctc"].metadata["vocabulary"] == published.heads["ctc"].metadata["vocabulary"]
    assert got.normalize is True
    hub.asked.clear()
    load_checkpoint(REPOSITORY, local_files_only=True)
    assert hub.asked == []
    close(hub, monkeypatch)
    again = load_checkpoint(REPOSITORY)
    assert not differing(again.backbone_state, published.backbone_state)


def test_only_what_is_needed_comes_down(hub, published, tmp_path):
    for name in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md"):
        (tmp_path / "upload" / name).write_bytes(b"x" * 1000)
    hub.publish(tmp_path / "upload")
    load_checkpoint(REPOSITORY)
    assert not {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md"} & set(hub.asked)


def test_a_revision(hub, published, tmp_path, checkpoint_of):
    other = checkpoint_of("hubert")
    save_checkpoint(tmp_path / "other", other, to="hf")
    hub.publish(tmp_path / "other", revision="v2")
    assert load_checkpoint(REPOSITORY, revision="v2").family == "hubert"
    assert load_checkpoint(REPOSITORY).family == "wavlm"
    assert load_checkpoint(REPOSITORY, revision="b" * 40).family == "hubert"
    with pytest.raises(CheckpointUnavailable, match="no branch, tag or commit 'v3'"):
        load_checkpoint(REPOSITORY, revision="v3")


def test_shards(hub, published, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "upload"
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = list(state)
    for i in range(2):
        save_file({name: state[name] for name in names[i::2]}, folder / f"part{i}.safetensors")
    index = {"weight_map": {name: f"part{i % 2}.safetensors" for i, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.publish(folder)
    assert not differing(load_checkpoint(REPOSITORY).backbone_state, published.backbone_state)


def test_no_such_model(hub, tmp_path):
    with pytest.raises(CheckpointUnavailable) as caught:
        load_checkpoint("someone/nothing")
    message = str(caught.value)
    assert "no file or folder someone/nothing here" in message
    assert f"{hub.address} knows no such model" in message
    assert str(tmp_path / "cache") in message


def test_a_gated_model(hub):
    hub.refusals["someone/gated"] = (403, "GatedRepo")
    with pytest.raises(CheckpointUnavailable, match="is gated.*HF_TOKEN"):
        load_checkpoint("someone/gated")


def test_a_hub_that_is_unwell(hub):
    hub.refusals["someone/tiny"] = (500, "ServerError")
    with pytest.raises(CheckpointUnavailable, match="does not answer properly.*500"):
        load_checkpoint("someone/tiny")


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    close(hub, monkeypatch)
    with pytest.raises(CheckpointUnavailable, match="cannot be reached.*ConnectError"):
        load_checkpoint(REPOSITORY)


def test_not_asked(hub, monkeypatch):
    with pytest.raises(CheckpointUnavailable, match="as you wished"):
        load_checkpoint(REPOSITORY, local_files_only=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointUnavailable, match="HF_HUB_OFFLINE is set"):
        load_checkpoint(REPOSITORY)
    assert hub.asked == []


def test_a_model_in_another_layout(hub, published, tmp_path):
    (tmp_path / "upload" / "model.safetensors").unlink()
    hub.publish(tmp_path / "upload")
    with pytest.raises(CheckpointUnavailable, match="no weights that we read"):
        load_checkpoint(REPOSITORY)
    (tmp_path / "upload" / "config.json").unlink()
    hub.publish(tmp_path / "upload")
    with pytest.raises(CheckpointUnavailable, match=r"has no config\.json"):
        load_checkpoint(REPOSITORY)


def test_the_cache_is_not_whole(hub, published, monkeypatch, tmp_path):
    huggingface_hub.hf_hub_download(REPOSITORY, "config.json")
    close(hub, monkeypatch)
    with pytest.raises(CheckpointUnavailable, match=r"does not have the model \(whole\)"):
        load_checkpoint(REPOSITORY)


def test_a_missing_preprocessor_is_not_passed_over(hub, published, monkeypatch):
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download(REPOSITORY, name)
    close(hub, monkeypatch)
    with pytest.warns(UserWarning, match="preprocessor_config"):
        assert load_checkpoint(REPOSITORY).normalize is True


def test_damage_on_the_hub_keeps_its_name(hub, published, tmp_path):
    (tmp_path / "upload" / "config.json").write_text("{")
    hub.publish(tmp_path / "upload")
    with pytest.raises(CorruptedCheckpoint, match=r"config\.json"):
        load_checkpoint(REPOSITORY)


@pytest.mark.parametrize("name", ["./nothing", "/nothing/at/all", "~/nothing", "a/b/c.pt", "some one/x"])
def test_neither_a_path_nor_a_name(hub, name):
    with pytest.raises(CheckpointUnavailable, match="Check"):
        load_checkpoint(name)
    assert hub.asked == []


def test_a_word_that_names_nothing(hub):
    with pytest.raises(UnknownName, match=r"no file or folder here.*'wavlm-tny'.*mean 'wavlm-tiny'") as raised:
        load_checkpoint("wavlm-tny")
    assert "`sonant models` lists" in str(raised.value)
    assert len(str(raised.value)) < 300  # not the whole catalog
    assert hub.asked == []


@pytest.mark.parametrize("name", [name for name, card in CATALOG.items() if card.address is not None])
def test_a_file_that_is_on_no_hub(hub, name):
    """The catalog knows where it is to be had."""
    card = CATALOG[name]
    for spelling in (name, card.short_name):
        with pytest.raises(CheckpointUnavailable, match="from no hub") as caught:
            load_checkpoint(spelling)
        assert card.address in str(caught.value)
        assert (card.beside or "") in str(caught.value)
    assert hub.asked == []


def test_only_the_adapter_that_is_asked_for_comes_down(hub, tmp_path, monkeypatch):
    """Of MMS there are more than a thousand."""
    from sonant.api import load
    from tests.mms import LETTERS, write_mms

    hub.publish(write_mms(tmp_path / "mms"))

    def adapters():
        return [name for name in hub.asked if name.startswith("adapter.")]

    encoder = load(REPOSITORY)
    assert (encoder.language, encoder.languages, adapters()) == ("eng", tuple(LETTERS), [])
    encoder.set_language("fra")
    assert set(adapters()) == {"adapter.fra.safetensors"}
    with pytest.raises(UnknownName, match="Did you mean 'fra'"):
        encoder.set_language("fre")
    assert load(REPOSITORY, language="deu").language == "deu"  # which is there as a pickle alone
    assert set(adapters()) == {"adapter.fra.safetensors", "adapter.deu.safetensors", "adapter.deu.bin"}
    with pytest.warns(ModelWarning, match="has those that were fetched: deu, eng, fra"):
        encoder.save_pretrained(tmp_path / "saved")
    assert load(tmp_path / "saved").languages == ("deu", "eng", "fra")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert load(REPOSITORY, language="fra").language == "fra"
    with pytest.raises(CheckpointUnavailable, match=r"adapter\.urd-script_arabic\.safetensors .* is not in the cache"):
        load(REPOSITORY, language="urd-script_arabic")


def test_a_language_whose_adapter_is_not_on_the_hub(hub, tmp_path):
    from tests.mms import write_mms

    folder = write_mms(tmp_path / "mms")
    (folder / "adapter.fra.safetensors").unlink()
    hub.publish(folder)
    with pytest.raises(CheckpointUnavailable, match="has a vocabulary of 'fra', but no adapter for it"):
        load_checkpoint(REPOSITORY, language="fra")


def test_a_lora_and_its_base(hub, tmp_path):
    from tests.checkpoints import tiny
    from tests.checkpoints.table.lora import adapt, write

    theirs = tiny.theirs("hubert")
    theirs.save_pretrained(tmp_path / "base")
    write(tmp_path / "lora", adapt(theirs, 1.5, prefix="base_model.model."), base_model_name_or_path="someone/base")
    hub.publish(tmp_path / "base", "someone/base")
    hub.publish(tmp_path / "lora", "someone/lora")
    expected = load_checkpoint(tmp_path / "lora", overrides={"base": tmp_path / "base"})
    for offline in (False, True):
        got = load_checkpoint("someone/lora", local_files_only=offline)
        assert not differing(got.backbone_state, expected.backbone_state)
    hub.publish(tmp_path / "lora", "someone/other")
    del hub.files["someone/other", COMMITS["main"]]["adapter_model.safetensors"]
    with pytest.raises(CheckpointUnavailable, match="no weights of an adapter"):
        load_checkpoint("someone/other")
