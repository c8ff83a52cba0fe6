"""The page: one HTML file with its style, its scripts and its data inside, which may ask for nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_SCRIPTS = ("echarts/echarts.common.min.js", "page.js")


def page(document: Mapping[str, Any], *, served: bool = False) -> str:
    """The whole page.

    Parameters
    ----------
    document : mapping
        JSON values; names in it come from files, and may be anything.
    served : bool, default=False
        Whether a server behind the page runs EM from starts that are moved.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("page.html")).render(
        name=document["name"],
        policy=policy(served),
        style=Markup(_asset("page.css")),
        scripts=[Markup(_asset(name)) for name in _SCRIPTS],
        data=Markup(in_script({**document, "served": served})),
    )


def policy(served: bool = False) -> str:
    """The content-security policy: our own style and scripts, by their hashes, and at most our own server."""
    scripts = " ".join(_hash(_asset(name)) for name in _SCRIPTS)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hash(_asset('page.css'))}; img-src data:; "
        f"connect-src {chr(39)}{'self' if served else 'none'}{chr(39)}; base-uri 'none'; form-action 'none'"
    )


def in_script(value: Any) -> str:
    """JSON that may stand in a script element, whatever its strings hold.

    No ``<`` is left, so that neither ``</script>`` nor ``<!--`` is read, and nothing beyond ASCII.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def framed(whole: str) -> str:
    """A page in a frame of its own, which shares nothing with the page around it."""
    return (
        f'<iframe srcdoc="{html.escape(whole)}" sandbox="allow-scripts" title="EM, step by step" '
        'style="width: 100%; height: 60rem; border: 0"></iframe>'
    )


@cache
def _asset(name: str) -> str:
    return files("jensen.watch").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


@cache
def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
