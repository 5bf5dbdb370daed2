"""Components that learn, with what they have learnt: loaded by the generation that is asked for."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Mapping

import numpy as np

from indexstore.generations import Generations
from indexstore.media import MediaStore
from indexstore.model import Artefact
from workers.component import State, Trainable, digest

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # stage, branch
_KEPT = 2  # artefacts a component: that of the serving generation, and of the one being made


def packed(state: State) -> bytes:
    """Return learnt arrays as npz; reading it back runs no code."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **dict(state))
    return file.getvalue()


def unpacked(data: bytes) -> State:
    """Return the arrays that ``packed`` wrote.

    Raises:
        ValueError: it is no npz, or holds objects instead of plain arrays.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


class Learned:
    """The trained components of one process.

    Which artefact belongs to a generation never changes once documents were encoded with it, so
    it is remembered; that there is none yet is not.

    Args:
        generations, collection: where artefacts are listed. media: where they lie.
    """

    def __init__(self, generations: Generations, collection: str, media: MediaStore) -> None:
        self._generations = generations
        self._collection = collection
        self._media = media
        self._artefacts: dict[int, Mapping[Key, Artefact]] = {}
        self._components: dict[Key, dict[str, Trainable]] = {}
        self._lock = threading.Lock()

    def artefacts(self, generation: int) -> Mapping[Key, Artefact]:
        """Return what encodes a generation, by stage and branch."""
        found = self._artefacts.get(generation)
        if not found:
            found = self._generations.artefacts(self._collection, generation)
            self._artefacts[generation] = found
        return found

    def lineage(self, generation: int) -> str:
        """Return a hash of what the generation's components have learnt; "" when nothing."""
        artefacts = self.artefacts(generation)
        if not artefacts:
            return ""
        return digest(sorted((*key, one.fingerprint) for key, one in artefacts.items()))

    def component(
        self, key: Key, generation: int, make: Callable[[], Trainable]
    ) -> Trainable | None:
        """Return the component that encodes a generation; None before any training.

        Args:
            key: its stage and branch.
            generation: of the message that needs it.
            make: returns a new one, set up and not trained.
        """
        artefact = self.artefacts(generation).get(key)
        if artefact is None:
            return None
        with self._lock:
            made = self._components.setdefault(key, {})
            if artefact.blob not in made:
                component = make()
                component.load_state(unpacked(self._media.get(artefact.blob)))
                logger.info("%s learnt %s (generation %d)", key[0], artefact.blob[:17], generation)
                made[artefact.blob] = component
                while len(made) > _KEPT:
                    del made[next(iter(made))]
            return made[artefact.blob]
