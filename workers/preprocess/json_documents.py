"""JSON documents: one field is the text, the others become tags."""

from workers.component import Chunk, Preprocessor, Source
from workers.preprocess.json_fields import json_content
from workers.preprocess.texts import text_from


class JsonDocument(Preprocessor):
    """A field of a JSON object as one chunk, the other fields as its tags.

    Put a splitter behind it in a pipeline; spans stay places in the JSON.

    Args:
        content: the field that holds the text; dots lead into nested objects.
    """

    aliases = ("JsonPreprocessor", "json")
    inputs = ("text",)

    def __init__(self, *, content: str = "Content") -> None:
        self.content = content

    def apply(self, source: Source) -> list[Chunk]:
        """Read the object and return its content."""
        text = text_from(json_content(source, self.content))
        span = text.original((0, len(text.value)))
        return [Chunk(span=span, text=text.value, tags=text.tags, origins=text.origins)]
