"""Search engines of vector segments, one file each, behind one small contract."""

from indexstore.engines.base import Engine
from indexstore.engines.registry import create

__all__ = ["Engine", "create"]
