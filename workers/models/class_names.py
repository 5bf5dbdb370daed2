"""The names of ImageNet's 1000 classes, read from a package that carries them; it is not imported.

open_clip keeps hand-made names that say what a class is ("crane bird", "construction crane"). The
package itself would load torch and torchvision, so only the constant is read from its source.
"""

import ast
import importlib.util
from pathlib import Path

from workers.errors import MissingLibraryError

PACKAGE = "open_clip"
REQUIREMENT = "--no-deps open-clip-torch==3.3.0"
_CONSTANT = "IMAGENET_CLASSNAMES"
_CLASSES = 1000


def imagenet_names(component: str) -> tuple[str, ...]:
    """Return the names, in the order of every classifier's outputs.

    Raises:
        MissingLibraryError: the package is not installed, or holds them no more.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingLibraryError(component, PACKAGE, REQUIREMENT)
    source = Path(found.origin).with_name("zero_shot_metadata.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _CONSTANT:
            names = ast.literal_eval(node.value)
            if len(names) == _CLASSES:
                return tuple(names)
    raise MissingLibraryError(component, f"{PACKAGE} with {_CONSTANT}", REQUIREMENT)
