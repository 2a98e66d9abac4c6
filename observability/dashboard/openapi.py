"""The routes as an OpenAPI document, and as a page for people. Made from the routes themselves."""

import html
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from observability.dashboard.routing import API, Param, Route
from observability.dashboard.schema import OF

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "One sentence."}},
}


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for route in routes:
        paths.setdefault(API + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "evolvent dashboard",
            "version": version("evolvent"),
            "description": "What the event logs of runs say. Keys are only ever added.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": _TOKEN}},
        "security": [{}, {"token": []}],
    }


_TOKEN = {"type": "http", "scheme": "bearer"}


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", route.path)
    in_path = [Param(name=name, about=f"The {name}.", required=True) for name in names]
    found: dict[str, Any] = {
        "summary": route.about,
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "parameters": [
            *(_parameter(one, "path") for one in in_path),
            *(_parameter(one, "query") for one in route.params),
        ],
        "responses": {
            "200": {"description": "The answer.", "content": _content(route, schemas)},
            "default": {
                "description": "What is wrong.",
                "content": {"application/json": {"schema": _of("Error")}},
            },
        },
    }
    if route.body:
        properties = {name: {"description": about} for name, about in route.body.items()}
        schema = {"type": "object", "properties": properties}
        found["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return found


def _content(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    said = OF.get(API + route.path)
    if said is None or route.method != "GET":
        return {"application/json": {"schema": {"type": "object"}}}
    whole = said.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(whole.pop("$defs", {}))
    schemas[said.__name__] = whole
    return {"application/json": {"schema": _of(said.__name__)}}


def _of(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(param: Param, where: str) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": where,
        "required": param.required or where == "path",
        "description": param.about,
        "schema": {"type": param.kind},
    }


def page(routes: Sequence[Route]) -> str:
    """The same for people: no script, nothing from elsewhere."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>evolvent API</title>"]
    parts.append(f'<h1>evolvent dashboard API</h1><p><a href="{API}/openapi.json">OpenAPI</a></p>')
    for route in routes:
        parts.append(f"<h2><code>{route.method} {API}{html.escape(route.path)}</code></h2>")
        parts.append(f"<p>{html.escape(route.about)}</p>")
        rows = [(one.name, one.about) for one in route.params] + list(route.body.items())
        if rows:
            said = "".join(f"<dt>{name}</dt><dd>{html.escape(about)}</dd>" for name, about in rows)
            parts.append(f"<dl>{said}</dl>")
    return "".join(parts) + "</html>"
