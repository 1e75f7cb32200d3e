"""Images: their names, what the course's says about itself, and whether it still fits this dslab. Pure.

``make images`` builds the course image (docker/build.py) and labels it with what dslab needed then. dslab's
own code in it does not matter to a run: each run brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

from dslab.kit.errors import MachineError

COURSE_IMAGE = "dslab-course:latest"
DSLAB_FOLDER = "/opt/dslab"  # on Python's path in it; holds the package and what is shipped with it
COURSE_LABEL = "dslab.course"  # whoever has it holds Python and dslab; set by docker/Dockerfile
REQUIRES_LABEL = "dslab.requires"

# What `make images OFFLINE=1` makes in place of a third party's, by that one's name.
STAND_INS = {"rabbitmq": "dslab-rabbitmq:offline"}

HOW_TO_BUILD = "Run `make images` (where no registry answers: `make images OFFLINE=1`)."


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has, by its name."""

    name: str
    labels: Mapping[str, str]

    @property
    def is_the_courses(self) -> bool:
        """Whether it holds Python and dslab, so that a keeper can run in it; RabbitMQ's does not."""
        return COURSE_LABEL in self.labels


def how_to_get(image: str) -> str:
    """What to do where an image is missing."""
    if image == COURSE_IMAGE or not stand_in(image):
        return HOW_TO_BUILD
    return f"Run `docker pull {image}` (where no registry answers: `make images OFFLINE=1`)."


def stand_in(image: str) -> str | None:
    """The image that does instead of that one, if it is there."""
    return STAND_INS.get(image.partition(":")[0])


def requirements() -> str:
    """What this dslab needs at run time, as the label has it; empty if it is not installed as a package."""
    try:
        needed = requires("dslab") or []
    except PackageNotFoundError:
        return ""
    return ", ".join(sorted(one for one in needed if "extra ==" not in one))


def check_fresh(image: str, labels: Mapping[str, str]) -> None:
    """See that the image was built for what dslab needs now.

    Raises:
        MachineError: It was not. An image that was built by hand does not say, and is believed.
    """
    built_for = labels.get(REQUIRES_LABEL, requirements())
    if COURSE_LABEL not in labels or (requirements() and built_for != requirements()):
        raise MachineError(f"The image {image} was built for an earlier dslab.", remedy=HOW_TO_BUILD)
