"""Look into an image, for what a manifest says of it."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.drivers.container.client import connect, engine_errors
from conformance.drivers.container.facts import exists, look_up, never_started
from conformance.drivers.container.labels import Labels, remove_run
from conformance.drivers.container.request import ASIDE, ImageRequest
from conformance.run.directory import RunDirectory
from conformance.wiring.image import ImageView

__all__ = ["inspect_image"]


def inspect_image(request: ImageRequest, programs: Iterable[str]) -> ImageView:
    """Return what the image of *request* has, and which of *programs* are in it.

    The first engine of the request is asked.

    :raises UsageError: there is no such docker context.
    :raises CannotJudge: the engine is not there, or the image is not.
    """
    directory = RunDirectory()  # its lock says that what is made on the engine is still in use
    try:
        client = connect(*request.engines[:1])
        labels = Labels(directory.path.name, directory.path.with_suffix(".lock"), "wiring")
        try:
            facts = look_up(client, request, labels, ())
            with (
                engine_errors(f"image '{request.reference}' cannot be looked into"),
                never_started(client, facts.id, labels) as container,
            ):
                found = {path: exists(client, container, path) for path in programs}
        finally:
            remove_run(client, labels.run)
            client.close()
    finally:
        directory.close()
    return ImageView(
        reference=request.reference,
        environment=facts.environment,
        entrypoint=facts.entrypoint,
        user=facts.user,
        uid=facts.uid,
        home="" if facts.home.startswith(ASIDE) else facts.home,
        programs=found,
    )
