"""``python -m compose.render``: write the rendered files of the repository again."""

from compose.render.root_files import write_root_files

write_root_files()
