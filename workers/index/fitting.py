"""Encoded chunks against the indexes of the flow: what none could compare is refused in time."""

from collections.abc import Sequence

from compose.plan import IndexPlan
from indexstore.errors import DimensionError, InvalidVectorError
from indexstore.model import ChunkTable
from indexstore.vectors import checked_rows


def misfit(table: ChunkTable, indexes: Sequence[IndexPlan]) -> str | None:
    """Tell why an index could not compare these chunks: it would leave the document out."""
    for index in indexes:
        rows = table.embeddings.get(index.vector) if index.kind == "vector" else None
        try:
            if rows is not None and len(rows):
                checked_rows(rows, dim=index.dim, metric=index.metric)
        except (DimensionError, InvalidVectorError) as error:
            return f"index: {index.name}: {error}"
    return None
