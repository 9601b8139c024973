"""The images of an installation: listed as a node pulls them, and copied between two real registries."""

import hashlib
import json
import os
import subprocess
import time
from contextlib import contextmanager

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from components.base.errors import PermanentError
from pipelines.commands import image
from pipelines.commands.app import main
from pipelines.runners.services import find_free_port
from tests.debian_programs import find_program


def _write_values(folder, repository, digest=""):
    values = {
        "image": {"repository": repository, "tag": "1.0", "digest": digest},
        "redis": {"enabled": True, "image": {"repository": repository, "tag": "7.2"}},
    }
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@contextmanager
def _run_registry(folder):
    """Run a registry on a free port of loopback, and give its address."""
    program = find_program("docker-registry")
    address = f"127.0.0.1:{find_free_port()}"
    folder.mkdir()
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(settings))
    environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", folder / "registry.yml"], stderr=log, stdout=log, env=environment)
        try:
            for _ in range(100):
                try:
                    httpx.get(f"http://{address}/v2/").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(10)


def _write_image(folder, content):
    """Write the smallest image that a registry takes, as an OCI layout; return its path."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def write_blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    config = {"architecture": "amd64", "os": "linux", "config": {"Env": [content]}, "rootfs": {"type": "layers"}}
    described = write_blob(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": []}
    listed = write_blob(json.dumps(manifest).encode(), "manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return folder


def test_the_list_names_each_image_and_says_which_is_not_pinned(tmp_path):
    digest = f"sha256:{'a' * 64}"
    values = _write_values(tmp_path, "registry.example/library/redis", digest)
    printed = CliRunner().invoke(image.app, ["list", "--values", str(values)], catch_exceptions=False).output
    first, second = printed.splitlines()
    assert first.split() == ["image", "registry.example/library/redis:1.0", digest]
    assert second.split() == ["redis.image", "registry.example/library/redis:7.2", "not", "pinned"]


def test_a_digest_wins_over_the_tag(tmp_path):
    pinned, unpinned = image.read_images(_write_values(tmp_path, "redis", f"sha256:{'a' * 64}"))
    assert pinned.reference == f"redis@sha256:{'a' * 64}"
    assert unpinned.reference == "redis:7.2"


def test_an_image_without_a_tag_is_refused_with_its_place(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"mlflow": {"image": {"repository": "mlflow", "tag": ""}}}))
    with pytest.raises(PermanentError, match=r"mlflow\.image"):
        image.read_images(values)


def test_every_image_of_the_chart_arrives_in_the_other_registry_with_its_digest(tmp_path):
    skopeo = find_program("skopeo")
    with _run_registry(tmp_path / "public") as public, _run_registry(tmp_path / "private") as private:
        for tag in ("1.0", "7.2"):
            layout = _write_image(tmp_path / tag, f"VERSION={tag}")
            command = [skopeo, "copy", "--dest-tls-verify=false", f"oci:{layout}"]
            subprocess.run([*command, f"docker://{public}/library/redis:{tag}"], check=True, capture_output=True)
        values = _write_values(tmp_path, f"{public}/library/redis")
        written = tmp_path / "mirror.yaml"
        arguments = ["mirror", f"{private}/copies", "--values", str(values), "--output", str(written), "--plain-http"]
        CliRunner().invoke(image.app, arguments, catch_exceptions=False)
        found = yaml.safe_load(written.read_text())
        assert found["redis"]["image"]["repository"] == f"{private}/copies/library/redis"
        for copy in (found["image"], found["redis"]["image"]):
            headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
            path = copy["repository"].removeprefix(f"{private}/")
            manifest = httpx.get(f"http://{private}/v2/{path}/manifests/{copy['digest']}", headers=headers)
            assert f"sha256:{hashlib.sha256(manifest.content).hexdigest()}" == copy["digest"]
        assert found["image"]["digest"] != found["redis"]["image"]["digest"]


def test_every_image_of_our_chart_is_listed(capsys):
    assert main(["image", "list"]) == 0
    listed = capsys.readouterr().out
    for place in ("image ", "postgresql.image ", "redis.image ", "objectStore.image "):
        assert f"\n{place}" in f"\n{listed}"
