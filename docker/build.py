"""Build the course image: what `make images` and `make images OFFLINE=1` run.

With a registry the base is Docker's official Python image, and RabbitMQ's is pulled when a lab first
needs it. ``--offline`` makes both from Debian's packages instead (`offline`, `debian`), and leaves their
names in ``.env`` files, where Compose looks for them.

Every image carries a digest of what went into it as a label: what is unchanged is not built again.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import debian
import offline
from requirements import requirements
from rich.console import Console

from dslab.kit.topology.docker_image import COURSE_IMAGE, REQUIRES_LABEL
from dslab.kit.topology.docker_image import requirements as needed_now
from dslab.kit.topology.shipped import shipped

COURSE = Path(__file__).resolve().parent.parent
FOLDER = COURSE / "docker"

REGISTRY_BASE = "python:3.13-slim"
OFFLINE_BASE = "dslab-base:offline"
OFFLINE_RABBITMQ = "dslab-rabbitmq:offline"

INPUTS_LABEL = "dslab.inputs"

ENV_KEYS = ("BASE_IMAGE", "DSLAB_RABBITMQ_IMAGE", "DSLAB_PULL_POLICY")
SCRATCH_BYTES = 2 << 30
MEMORY_FILES = Path("/dev/shm")  # unpacking there is four times faster than on a disk

console = Console(highlight=False)


class BuildError(Exception):
    """An image cannot be built. The message says what to do."""


def digest(paths: Iterable[Path], *texts: str) -> str:
    """One number for the contents of files and whole folders."""
    total = hashlib.sha256("\0".join(texts).encode())
    for path in sorted(file for one in paths for file in files_of(one)):
        total.update(f"{path.relative_to(COURSE)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def files_of(path: Path) -> Iterator[Path]:
    """The file itself, or a folder's files but for what Python leaves in it."""
    if path.is_file():
        yield path
    else:
        yield from (one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)


def docker(*words: str | Path) -> str:
    """Run the docker client, and return what it printed.

    Raises:
        BuildError: It failed. Carries the end of what it said.
    """
    done = subprocess.run(["docker", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"docker {words[0]} failed:\n{done.stderr.strip()[-2_000:]}")
    return done.stdout.strip()


def check_engine() -> None:
    """Is there an engine to build with?"""
    if shutil.which("docker") is None:
        raise BuildError("There is no `docker` command. Install Docker, or work without it (BACKEND=local).")
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except BuildError as failure:
        raise BuildError(
            "No Docker engine answers. Start Docker, or work without it (BACKEND=local)."
        ) from failure


def look(image: str) -> tuple[str, str]:
    """The image's id, and the digest of what it was made from; empty if there is none."""
    wanted = f'{{{{.Id}}}} {{{{index .Config.Labels "{INPUTS_LABEL}"}}}}'
    try:
        image_id, _, inputs = docker("image", "inspect", "--format", wanted, image).partition(" ")
    except BuildError:
        return "", ""
    return image_id, inputs


def refresh(image: str, inputs: str, how: str, make: Callable[[], None]) -> None:
    """Make an image unless it is there already, and say which, and how long it took."""
    old_id, old_inputs = look(image)
    if old_inputs == inputs:
        console.print(f"  {image:<24} up to date")
        return
    console.print(f"  {image:<24} {how} ...")
    began_s = time.monotonic()
    make()
    if old_id:
        with suppress(BuildError):  # a container still uses it
            docker("image", "rm", old_id)
    console.print(f"  {image:<24} done in {time.monotonic() - began_s:.1f} s")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, in memory where that has room."""
    roomy = MEMORY_FILES.is_dir() and shutil.disk_usage(MEMORY_FILES).free > SCRATCH_BYTES
    with tempfile.TemporaryDirectory(prefix="dslab-images-", dir=MEMORY_FILES if roomy else None) as folder:
        yield Path(folder)


def load(image: offline.Image, name: str, inputs: str) -> None:
    """Hand a root file system to the engine, under that name."""
    settings = [*image.changes, f"LABEL {INPUTS_LABEL}={inputs}"]
    settings += [f"ENV {key}={value}" for key, value in image.environment.items()]
    changes = [word for setting in settings for word in ("--change", setting)]
    pack = ["tar", "-c", "-C", str(image.root), "--owner=0", "--group=0", "--numeric-owner", "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as files:
        unpack = ["docker", "import", *changes, "-", name]
        done = subprocess.run(unpack, stdin=files.stdout, capture_output=True, text=True, check=False)
    if done.returncode or files.returncode:
        raise BuildError(f"docker import failed:\n{done.stderr.strip()}")


def build_base() -> None:
    """Python and dslab's dependencies, without a registry."""
    recipe = [FOLDER / name for name in ("debian.py", "offline.py")]
    wanted = requirements(COURSE / "pyproject.toml")
    inputs = digest([*recipe, COURSE / "constraints.txt"], debian.architecture(), *wanted)

    def make() -> None:
        with scratch_folder() as folder:
            load(offline.make_base(folder, COURSE), OFFLINE_BASE, inputs)

    refresh(
        OFFLINE_BASE,
        inputs,
        f"Python {offline.PYTHON_VERSION} from Debian {debian.SUITE}, wheels from PyPI",
        make,
    )


def build_rabbitmq() -> None:
    """RabbitMQ, without a registry."""
    inputs = digest([FOLDER / name for name in ("debian.py", "offline.py")], debian.architecture())

    def make() -> None:
        with scratch_folder() as folder:
            load(offline.make_rabbitmq(folder), OFFLINE_RABBITMQ, inputs)

    refresh(OFFLINE_RABBITMQ, inputs, f"RabbitMQ from Debian {debian.SUITE}", make)


def build_course(base: str) -> None:
    """The course image on its base."""
    recipe = [COURSE / name for name in ("docker/Dockerfile", "docker/requirements.py", "pyproject.toml")]
    inputs = digest([*recipe, COURSE / "constraints.txt", *shipped(COURSE / "dslab")], base, *look(base))
    labels = {INPUTS_LABEL: inputs, REQUIRES_LABEL: needed_now()}

    def make() -> None:
        options = [
            f"--file={FOLDER / 'Dockerfile'}",
            f"--build-arg=BASE_IMAGE={base}",
            f"--tag={COURSE_IMAGE}",
        ]
        docker("build", *options, *(f"--label={key}={value}" for key, value in labels.items()), COURSE)

    refresh(COURSE_IMAGE, inputs, f"on {base}", make)


def write_env(values: dict[str, str]) -> None:
    """Tell Compose which images to use: a ``.env`` beside every compose file. Other lines there stay."""
    for compose in (COURSE / "docker-compose.yml", *sorted(COURSE.glob("labs/*/compose.yaml"))):
        path = compose.parent / ".env"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if line.partition("=")[0] not in ENV_KEYS]
        wanted = [*kept, *(f"{key}={value}" for key, value in values.items())]
        if wanted:
            path.write_text("\n".join(wanted) + "\n")
        else:
            path.unlink(missing_ok=True)


def build_online() -> None:
    """With a registry."""
    try:
        build_course(REGISTRY_BASE)
    except BuildError as failure:
        raise BuildError(f"{failure}\nWithout a registry: make images OFFLINE=1") from failure
    write_env({})


def build_offline() -> None:
    """Without one. The two bases do not depend on each other."""
    debian.check_machine()
    with ThreadPoolExecutor() as pool:
        for made in [pool.submit(build_base), pool.submit(build_rabbitmq)]:
            made.result()
    build_course(OFFLINE_BASE)
    write_env(dict(zip(ENV_KEYS, (OFFLINE_BASE, OFFLINE_RABBITMQ, "never"), strict=True)))


def main() -> int:
    """Build, and say what was done."""
    parser = argparse.ArgumentParser(prog="docker/build.py", description=__doc__.splitlines()[0])
    parser.add_argument("--offline", action="store_true", help="make the bases from Debian's packages")
    chosen = parser.parse_args()
    began_s = time.monotonic()
    try:
        check_engine()
        build_offline() if chosen.offline else build_online()
    except debian.NotDebianError as problem:
        console.print(f"OFFLINE=1 builds from Debian's packages, on a Debian machine: {problem}.")
        return 3
    except (BuildError, subprocess.CalledProcessError) as failure:
        console.print(str(failure), markup=False, soft_wrap=True)
        return 3
    console.print(f"Images are ready ({time.monotonic() - began_s:.1f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
