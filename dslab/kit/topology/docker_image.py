"""The course image: its name, what it says about itself, and whether it still fits this dslab. Pure.

``make images`` builds it (docker/build.py) and labels it with what dslab needed then. dslab's own code in it
does not matter to a run: each run brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires

from dslab.kit.errors import MachineError

COURSE_IMAGE = "dslab-course:latest"
DSLAB_FOLDER = "/opt/dslab/dslab"  # the package's place in it
COURSE_LABEL = "dslab.course"  # whoever has it holds Python and dslab; set by docker/Dockerfile
REQUIRES_LABEL = "dslab.requires"

HOW_TO_BUILD = "Run `make images` (where no registry answers: `make images OFFLINE=1`)."


def requirements() -> str:
    """What this dslab needs at run time, as the label has it; empty if it is not installed as a package."""
    try:
        needed = requires("dslab") or []
    except PackageNotFoundError:
        return ""
    return ", ".join(sorted(one for one in needed if "extra ==" not in one))


def is_course_image(labels: Mapping[str, str]) -> bool:
    """Whether services of that image are dslab's to look after; RabbitMQ's, say, is not."""
    return COURSE_LABEL in labels


def check_fresh(image: str, labels: Mapping[str, str]) -> None:
    """See that the image was built for what dslab needs now.

    Raises:
        MachineError: It was not. An image that was built by hand does not say, and is believed.
    """
    built_for = labels.get(REQUIRES_LABEL, requirements())
    if COURSE_LABEL not in labels or (requirements() and built_for != requirements()):
        raise MachineError(f"The image {image} was built for an earlier dslab.", remedy=HOW_TO_BUILD)
