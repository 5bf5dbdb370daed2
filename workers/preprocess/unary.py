"""The whole document as one chunk."""

from workers.component import Chunk, Preprocessor, Source
from workers.preprocess.texts import chunks_of, text_from


class WholeText(Preprocessor):
    """The whole text as one chunk of weight 1."""

    aliases = ("UnaryPreprocessor", "unary")
    inputs = ("text",)
    former_options = {"doc_type": None}  # noqa: RUF012  (declared ClassVar in the base)

    def apply(self, source: Source) -> list[Chunk]:
        """Return the text as it is, white space at its ends aside."""
        text = text_from(source)
        start = len(text.value) - len(text.value.lstrip())
        return chunks_of(text, [(start, start + len(text.value.strip()))], max_chunks=1)
