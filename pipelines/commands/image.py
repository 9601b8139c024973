"""`tidemill image`: build the platform's image, list every image that an installation pulls, copy them to a registry.

Reads the images from the chart's values: a mapping with the key `repository` is one. Registries are read and written by
skopeo, which needs no daemon.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from components.base.errors import PermanentError

_ROOT = Path(__file__).parents[2]
_VALUES = _ROOT / "charts" / "tidemill" / "values.yaml"
# Where the chart names our own image: `make deploy` gives it the tag.
_OWN = ("image",)
_BUILDERS = ("docker", "podman", "buildah")

app = typer.Typer(help="Build the image, list all images, mirror them.", no_args_is_help=True)
Values = Annotated[Path, typer.Option(help="Values of the chart.")]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="The registries speak HTTP without TLS.")]


@dataclass(frozen=True)
class Image:
    """One image of the chart's values."""

    path: tuple[str, ...]
    """Where it is in the values."""
    repository: str
    tag: str
    digest: str
    """`sha256:…`, or empty where the values do not pin it."""

    @property
    def reference(self) -> str:
        """What a node pulls: by digest where there is one."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


@app.command()
def build(
    repository: Annotated[str, typer.Option(help="Name of the image; the tag is the commit.")] = "tidemill",
    base_image: Annotated[
        str | None, typer.Option(help="Debian with Python 3.11, by digest. Default: the Dockerfile's.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option(help="Option for the builder, repeatable.")] = None,
    push: Annotated[bool, typer.Option("--push", help="Push the image to its registry.")] = False,
) -> None:
    """Build the image of the present commit with docker, podman or buildah, whichever works here.

    Files that are not committed are not in it.

    [bold]Example[/]

    tidemill image build --repository registry.example/ml/tidemill --push
    """
    commit = read_commit()
    name = f"{repository}:{commit}"
    builder = _find_builder()
    arguments = ["--build-arg", f"REVISION={commit}", *(option or [])]
    if base_image:
        arguments += ["--build-arg", f"BASE_IMAGE={base_image}"]
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "commit.tar"
        _run(["git", "-C", str(_ROOT), "archive", "--output", str(archive), commit])
        context = Path(folder) / "context"
        shutil.unpack_archive(archive, context, filter="data")
        dockerfile = str(context / "components" / "Dockerfile")
        command = [builder, "build", *arguments, "--file", dockerfile, "--tag", name, str(context)]
        if subprocess.run(command, check=False).returncode != 0:
            raise PermanentError(f"image: {builder} must build {name}, but failed. Its output above says where.")
    if push:
        _run([builder, "push", name])
    typer.echo(name)


@app.command("list")
def list_images(
    values: Values = _VALUES,
    resolve: Annotated[bool, typer.Option("--resolve", help="Read missing digests from the registries.")] = False,
    plain_http: PlainHttp = False,
) -> None:
    """List every image of the chart as a node pulls it, and mark those without a digest."""
    for image in read_images(values):
        digest = image.digest or (_read_digest(image, plain_http) if resolve else "")
        typer.echo(f"{'.'.join(image.path):32} {image.repository}:{image.tag} {digest or 'not pinned'}")


@app.command()
def mirror(
    registry: Annotated[str, typer.Argument(help="Registry and path that take the copies: registry.example/mirror")],
    values: Values = _VALUES,
    output: Annotated[Path, typer.Option("--output", "-o", help="Values file to write.")] = Path("mirror-values.yaml"),
    plain_http: PlainHttp = False,
) -> None:
    """Copy every image of the chart to a registry, and write the values that name the copies by digest.

    For a cluster without a way to the public registries.
    """
    copies: dict[str, Any] = {}
    for image in read_images(values):
        digest = _read_digest(image, plain_http)
        # The host goes, the path stays: two images of one name from two registries do not meet.
        first, _, rest = image.repository.partition("/")
        copy = f"{registry.rstrip('/')}/{rest if '.' in first or ':' in first else image.repository}"
        _skopeo("copy", plain_http, f"docker://{image.reference}", f"docker://{copy}:{image.tag}")
        typer.echo(f"{image.repository}:{image.tag} -> {copy}@{digest}")
        place = copies
        for key in image.path:
            place = place.setdefault(key, {})
        place |= {"repository": copy, "tag": image.tag, "digest": digest}
    output.write_text(yaml.safe_dump(copies, sort_keys=False))
    typer.echo(f"Install with: make deploy VALUES={output}")


def read_images(values: Path) -> list[Image]:
    """Return the images of a values file, in its order; our own has the tag of the present commit, if none is given.

    Raises:
        PermanentError: another image has no tag.
    """
    images = list(_walk(yaml.safe_load(values.read_text()), ()))
    images = [replace(one, tag=read_commit()) if one.path == _OWN and not one.tag else one for one in images]
    untagged = [".".join(image.path) for image in images if not image.tag]
    if untagged:
        raise PermanentError(f"{values}: every image must have a tag, but has none: {', '.join(untagged)}. Name one.")
    return images


def _walk(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Image]:
    if "repository" in values:
        yield Image(path, values["repository"], str(values.get("tag") or ""), values.get("digest") or "")
        return
    for key, below in values.items():
        if isinstance(below, Mapping):
            yield from _walk(below, (*path, key))


def read_commit() -> str:
    """Return the commit of this checkout, which is the image's tag."""
    return _run(["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"]).strip()


def _find_builder() -> str:
    # The client alone is no builder: docker's is often there without its daemon.
    for name in _BUILDERS:
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            return name
    raise PermanentError(f"image: one of {', '.join(_BUILDERS)} must be installed and work, but none does.")


def _read_digest(image: Image, plain_http: bool) -> str:
    return _skopeo("inspect", plain_http, "--format", "{{.Digest}}", f"docker://{image.reference}").strip()


def _skopeo(command: str, plain_http: bool, *arguments: str) -> str:
    if shutil.which("skopeo") is None:
        raise PermanentError("images: skopeo must be installed, but is not. Install the package skopeo.")
    insecure = {
        "inspect": ["--tls-verify=false"],
        "copy": ["--all", "--src-tls-verify=false", "--dest-tls-verify=false"],
    }
    options = insecure[command] if plain_http else ["--all"] if command == "copy" else []
    return _run(["skopeo", command, *options, *arguments])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermanentError(f"{' '.join(command[:2])} must succeed, but failed: {done.stderr.strip()[-500:]}")
    return done.stdout
