"""A flow as one HTML page that stands alone: the drawing, and every text it can become.

No script is needed to read it, nothing is fetched; a few lines of script add the copy buttons.
"""

from collections.abc import Mapping
from html import escape

from compose.flow import Flow
from compose.plan import Plan
from compose.render.docker_compose import docker_compose
from compose.render.flow_yaml import flow_yaml
from compose.render.kubernetes import kubernetes
from compose.render.mermaid import mermaid
from compose.render.procfile import procfile
from compose.render.shell import shell
from compose.render.svg import in_cell, svg
from compose.render.swarm import swarm

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { margin: 0 auto; max-width: 75rem; padding: 1rem }
h1 { font-size: 1.5rem }
figure { margin: 0 0 1rem; background: #fff; border: 1px solid #8884; border-radius: .5rem;
  padding: .5rem }
figure svg { display: block; margin: auto }
.down { display: none }
@media (max-width: 40rem) { .across { display: none } .down { display: block } }
details { border: 1px solid #8884; border-radius: .5rem; margin: .5rem 0; padding: .5rem 1rem }
summary { cursor: pointer; font-weight: 600 }
pre { overflow-x: auto; font-size: .85rem; padding: .75rem; background: #8881;
  border-radius: .3rem }
button { font: inherit; padding: .2rem .8rem }
"""
_SCRIPT = """
document.querySelectorAll('button[data-copy]').forEach(function (button) {
  button.hidden = false;
  button.addEventListener('click', function () {
    var text = button.parentElement.querySelector('pre').textContent;
    navigator.clipboard.writeText(text).then(function () { button.textContent = 'Copied' });
  });
});
"""


def html(flow: Flow, plan: Plan, *, source: str = "flow.yml", left_right: bool = False) -> str:
    """Return the page of a flow; ``left_right`` is how its mermaid text runs."""
    title = escape(f"Workflow of {flow.name}")
    texts = {**_texts(flow, plan, source), "Mermaid": mermaid(flow, left_right=left_right)}
    cards = "".join(_card(name, text) for name, text in texts.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f'<figure class="across">{in_cell(svg(flow))}</figure>\n'
        f'<figure class="down">{in_cell(svg(flow, down=True))}</figure>\n<main>\n{cards}</main>\n'
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _texts(flow: Flow, plan: Plan, source: str) -> Mapping[str, str]:
    return {
        "Flow": flow_yaml(flow),
        "Procfile": procfile(plan, source=source),
        "Shell": shell(plan, source=source),
        "Docker Compose": docker_compose(flow, plan, source=source),
        "Docker Swarm": swarm(flow, plan, source=source),
        "Kubernetes": kubernetes(flow, plan, source=source),
    }


def _card(name: str, text: str) -> str:
    return (
        f'<details><summary>{escape(name)}</summary>\n<button type="button" data-copy hidden>Copy'
        f"</button>\n<pre><code>{escape(text)}</code></pre></details>\n"
    )
