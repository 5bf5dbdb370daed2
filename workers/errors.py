"""What can go wrong in a component, in words that say how to mend it.

The values are positional and kept in ``args``, the text is in ``__str__``: so an error survives
the way through Celery's result backend, which rebuilds it as ``cls(*args)``.

    WorkerError
    +-- ContentError            one document (or query) cannot be processed; nobody else suffers
    +-- ComponentError          the flow names or configures a component wrongly
    |   +-- UnknownComponentError
    |   +-- WrongKindError
    |   +-- OptionError
    |   +-- PluginError
    |   +-- MissingLibraryError
    +-- TrainingError           training was refused
    +-- NotTrainedError         a component that must be trained first was used
    +-- WeightsChangedError     a component is not the one that made the stored vectors
"""

from collections.abc import Sequence


class WorkerError(Exception):
    """Whatever a component raises on purpose."""

    status = 500


class ContentError(WorkerError):
    """One document's content cannot be processed; it fails alone."""

    status = 422

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason, cure)
        self.reason, self.cure = reason, cure

    def __str__(self) -> str:
        return f"{self.reason}; {self.cure}" if self.cure else self.reason


class ComponentError(WorkerError):
    """The flow names or configures a component wrongly."""

    status = 422


class UnknownComponentError(ComponentError):
    """No component of that name is known."""

    def __init__(self, uses: str, kind: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(uses, kind, tuple(nearest))
        self.uses, self.kind, self.nearest = uses, kind, tuple(nearest)

    def __str__(self) -> str:
        hint = (
            f"did you mean {' or '.join(self.nearest)}" if self.nearest else "see gnes components"
        )
        return (
            f"no {self.kind} is called {self.uses!r}; {hint}?"
            " A name is an alias of the catalog, a class of a py_path file, or package.module.Class"
        )


class WrongKindError(ComponentError):
    """The name leads to a class, but not of the kind the flow needs there."""

    def __init__(self, uses: str, kind: str, found: str) -> None:
        super().__init__(uses, kind, found)
        self.uses, self.kind, self.found = uses, kind, found

    def __str__(self) -> str:
        return f"{self.uses!r} is {self.found}; a component of kind {self.kind} is needed here"


class OptionError(ComponentError):
    """A component was given options it does not take; all faults are told at once."""

    def __init__(self, component: str, faults: Sequence[str]) -> None:
        super().__init__(component, tuple(faults))
        self.component, self.faults = component, tuple(faults)

    def __str__(self) -> str:
        return f"options of {self.component}: " + "; ".join(self.faults)


class PluginError(ComponentError):
    """A py_path file could not be loaded; the flow that names it fails, no other."""

    def __init__(self, path: str, trace: str) -> None:
        super().__init__(path, trace)
        self.path, self.trace = path, trace

    def __str__(self) -> str:
        return f"plug-in file {self.path} cannot be loaded:\n{self.trace}"


class MissingLibraryError(ComponentError):
    """A component's optional library is not installed."""

    def __init__(self, component: str, library: str, requirement: str) -> None:
        super().__init__(component, library, requirement)
        self.component, self.library, self.requirement = component, library, requirement

    def __str__(self) -> str:
        return f"{self.component} needs {self.library}; cure: pip install {self.requirement}"


class TrainingError(WorkerError):
    """A component refused to be trained on what it was given."""

    status = 422

    def __init__(self, component: str, reason: str) -> None:
        super().__init__(component, reason)
        self.component, self.reason = component, reason

    def __str__(self) -> str:
        return f"{self.component} cannot be trained: {self.reason}"


class NotTrainedError(WorkerError):
    """A component that learns was used before it was trained."""

    status = 409

    def __init__(self, component: str) -> None:
        super().__init__(component)
        self.component = component

    def __str__(self) -> str:
        return f"{self.component} must be trained before it is used; cure: gnes train"


class WeightsChangedError(WorkerError):
    """A component is not the one that made the stored vectors, so they cannot be compared."""

    status = 409

    def __init__(self, stage: str, stored: str, here: str) -> None:
        super().__init__(stage, stored, here)
        self.stage, self.stored, self.here = stage, stored, here

    def __str__(self) -> str:
        return (
            f"the model of {self.stage} has changed since the collection was encoded (it was "
            f"{self.stored}, here it is {self.here}); cure: put the former files back and start "
            "the worker again, or run gnes reindex to encode everything with the new ones"
        )
