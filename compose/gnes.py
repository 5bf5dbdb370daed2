"""GNES's names for options that go by another name here, or need no setting at all.

Used where a file names a component as GNES did: by a GNES class or in a ``!Class`` tag. Under our
own names the old options are faults that point at the new ones.
"""

import re
from collections.abc import Mapping
from typing import Any

from compose.component import Component

#: What GNES called an option, where a component does not say it of itself (``former_options``), to
#: the names it may have here, the first that a component knows; () where it has no meaning at all:
#: places, devices and training are the worker's to say.
GNES_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "num_dim": ("dim",),
    "num_bytes": ("dim",),
    "index_key": ("factory",),
    "model_name": ("model_dir", "model"),
    "model_dir": ("path", "model"),
    "pooling_stragy": ("pooling",),
    "window_size": ("window", "size"),
    "layers": ("layer",),
    "select_layer": ("layer",),
    "stride_wide": ("stride_width",),
    **dict.fromkeys(
        (
            "data_path", "on_gpu", "use_cuda", "work_dir", "is_trained", "name", "warn_unnamed",
            "keep_na_doc", "drop_raw_bytes", "drop_raw_data", "drop_chunk_blob", "read_only",
            "start_doc_id", "random_doc_id", "doc_type", "backend", "batch_size", "is_json",
            "pooling_layer", "skiprows", "is_binary", "using_faiss_pred", "file_suffix",
            "insert_iterations", "query_iterations", "n_trees", "num_clusters", "n_idx",
        ),
        (),
    ),
}  # fmt: skip

#: GNES's names of values.
GNES_VALUES: Mapping[str, str] = {
    "REDUCE_MEAN": "mean",
    "REDUCE_MAX": "max",
    "REDUCE_MEAN_MAX": "mean-max",
}
#: GNES's two splitters took a character class, or the inside of one.
_CHARACTER_CLASS = re.compile(r"\[(.+)\]\+?")


def translated(component: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return GNES's options under our names, without those that need no setting here."""
    options = {name: value for name, value in given.items() if component.option(name) is not None}
    for name, value in given.items():
        ours = our_name(component, name)
        if ours is not None:
            options.setdefault(ours, _value(name, value))
    return {name: value for name, value in options.items() if (name, value) != ("dim", -1)}


def our_name(component: Component, name: str) -> str | None:
    """Return what a component calls GNES's option; None when it needs no setting.

    An option that the component has, or that GNES never had, keeps its name.
    """
    if component.option(name) is not None:
        return name
    if name in component.former_options:
        return component.former_options[name]
    if name not in GNES_OPTIONS:
        return name
    return next((ours for ours in GNES_OPTIONS[name] if component.option(ours) is not None), None)


def is_ignored(name: str) -> bool:
    """Whether GNES's option has no meaning here, so that its value need not make sense."""
    return GNES_OPTIONS.get(name) == ()


def _value(name: str, value: Any) -> Any:
    if name == "deliminator" and isinstance(value, str):
        found = _CHARACTER_CLASS.fullmatch(value)
        return found.group(1) if found else value
    return GNES_VALUES.get(value, value) if isinstance(value, str) else value
