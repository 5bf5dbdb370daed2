"""The keys of a flow file: what each is for, and the JSON Schema of what it may hold.

One source for the loader, which refuses other keys, and for editors, which offer these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Slots that documents are spread over; no flow can have more shards than these.
MAX_COPIES = 1024
MODALITIES = ("text", "image", "video", "audio")
#: Services that may have a component for each modality.
BRANCH_SERVICES = ("Preprocessor", "Encoder")

_COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_COPIES}
_NATURAL: Mapping[str, Any] = {"type": "integer", "minimum": 1}
_WORDS: Mapping[str, Any] = {
    "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}
_COMPONENT: Mapping[str, Any] = {"$ref": "#/$defs/component"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name, a sentence on it, and the schema of its value."""

    name: str
    doc: str
    schema: Mapping[str, Any] = field(default_factory=dict)


FLOW = (
    Key("name", "What the flow and its collection are called.", {"type": "string"}),
    Key("description", "A sentence for readers.", {"type": "string"}),
    Key("port", "Where the API listens.", {"type": "integer", "minimum": 1, "maximum": 65535}),
    Key(
        "services",
        "The layers in their order; a list in the list is a layer of several services.",
        {
            "type": ["array", "null"],
            "items": {
                "oneOf": [
                    {"$ref": "#/$defs/service"},
                    {"type": "array", "items": {"$ref": "#/$defs/service"}},
                ]
            },
        },
    ),
    Key("score", "How what is found is scored and ranked.", {"$ref": "#/$defs/score"}),
    Key("workers", "Workers of the queues that no layer stands for.", {"$ref": "#/$defs/workers"}),
    Key("volumes", "Docker volumes to add to rendered files.", {"type": "object"}),
    Key("networks", "Docker networks to add to rendered files.", {"type": "object"}),
)  # fmt: skip

#: Keys of a flow's ``score`` that name score functions: of chunk hits, and of documents.
SCORE_FUNCTIONS = ("normalize_fn", "score_fn", "chunk", "document")

SCORE = (
    Key("reduce", "How the scores of a document's chunks become its own: a reducer.", _COMPONENT),
    Key("chunk", "Score functions of chunk hits, one after another.", _COMPONENT),
    Key("document", "Score functions of documents, one after another.", _COMPONENT),
    Key("normalize_fn", "GNES: the first score function of chunk hits.", _COMPONENT),
    Key("score_fn", "GNES: score functions of chunk hits or documents.", _COMPONENT),
    Key("py_path", "Plug-in files with score functions and reducers of your own.", _WORDS),
    Key("fusion", "How the rankings of several indexes become one.", {"enum": ["rrf", "weighted"]}),
    Key(
        "weights",
        "What each index counts in the fusion; 1 when it is not named.",
        {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
    ),
    Key("rank_constant", "Of rrf: the greater, the more agreement counts.", _NATURAL),
    Key("candidates", "Best documents that score functions and rerankers judge.", _NATURAL),
    Key("rerank", "Texts that a reranker reads a query.", _NATURAL),
)  # fmt: skip

WORKERS = (
    Key("fetch", "Workers that bring media from the web.", _COUNT),
    Key("preview", "Workers that make thumbnails and clips of media.", _COUNT),
    Key("index", "Workers that append documents to the log.", _COUNT),
    Key("reduce", "Workers that merge the answers of shards.", _COUNT),
    Key("build", "Workers that build segments.", _COUNT),
)

STEP = (
    Key("name", "The service: what this layer does."),
    Key("id", "A name of this step's own, for `needs`.", {"type": "string"}),
    Key("uses", "The component: a name of the catalog, or several one after another.", _COMPONENT),
    Key("with", "Options of the component.", {"type": "object"}),
    Key("yaml_path", "GNES: a component file, a class, or inline YAML.", _COMPONENT),
    Key("py_path", "Plug-in files with components of your own.", _WORDS),
    Key("replicas", "Worker processes; for an Indexer without `shards`, its shards.", _COUNT),
    Key("shards", "Parts of an Indexer's documents; every query asks each.", _COUNT),
    Key(
        "income",
        "pull: each message goes to one replica; sub: to every one.",
        {"enum": ["pull", "sub"]},
    ),
    Key("queue", "The queue this step's workers consume.", {"type": "string"}),
    Key("needs", "The steps this one follows; the layer before it by default.", _WORDS),
    Key("vector", "The name of the embedding that is written or indexed.", {"type": "string"}),
    Key(
        "image",
        "The Docker image of this step's containers; or the component for images alone.",
        _COMPONENT,
    ),
)  # fmt: skip

BRANCHES = tuple(
    Key(name, f"The component for {name} alone.", _COMPONENT)
    for name in MODALITIES
    if name != "image"
)


def names(keys: tuple[Key, ...]) -> tuple[str, ...]:
    """Return the names of keys, in their order."""
    return tuple(key.name for key in keys)
