"""Files of a form as documents: one file a document, its kind read from its bytes."""

from typing import Any

from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from app.api.body import parse
from app.api.intake import Intake, Refusal
from app.api.media import MediaRefusedError, item_of
from app.api.problems import invalid
from compose.planning import modalities_of

FILES = "docs"
ATTRIBUTES = "documents"


async def take_files(request: Request, intake: Intake) -> None:
    """Take in the parts ``docs`` of a form, each a document.

    A part ``documents`` may hold a JSON list with what else to know of each file, in the same
    order: id, tags, weight. What is neither media nor text is refused alone.

    Raises:
        Problem: 400 when there is no file, or the list is not of the files' number.
    """
    async with request.form(max_files=intake.house.limits.max_batch) as form:
        uploads = parts_of(form, FILES)
        attributes = _attributes(form, len(uploads))
        items: list[Any] = []
        for place, (part, known) in enumerate(zip(uploads, attributes, strict=True)):
            try:
                items.append(await _item(part, known, intake))
            except MediaRefusedError as error:
                items.append(Refusal(place, None, FILES, str(error)))
    await intake.take(items)


async def _item(part: UploadFile | str, known: dict[str, Any], intake: Intake) -> Any:
    """Return one part as the item that a client would send as JSON."""
    if isinstance(part, str):
        return {**known, "text": part}
    house = intake.house
    taken = modalities_of(house.plan)
    return await to_thread.run_sync(
        item_of, part.file, part.filename or "", known, house.media, taken
    )


def parts_of(form: FormData, field: str) -> list[UploadFile | str]:
    """Return the parts of a form's field, files or plain values.

    Raises:
        Problem: 400 when there is none.
    """
    parts = form.getlist(field)
    if not parts:
        reason = f"the form needs a part named {field}, as `curl -F {field}=@FILE` sends it"
        raise invalid([{"field": field, "reason": reason}])
    return list(parts)


def _attributes(form: FormData, files: int) -> list[dict[str, Any]]:
    """Return what else is said of each file; nothing when the form has no such part."""
    given = form.get(ATTRIBUTES)
    if given is None:
        return [{} for _ in range(files)]
    listed = parse(given.encode()) if isinstance(given, str) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise invalid([{"field": ATTRIBUTES, "reason": "expected a JSON list of objects"}])
    if len(listed) != files:
        reason = f"{len(listed)} objects were given for {files} files"
        raise invalid([{"field": ATTRIBUTES, "reason": reason}])
    return listed
