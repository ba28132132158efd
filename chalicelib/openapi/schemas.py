"""Short forms of JSON Schemas: from models, and by hand."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ID: Schema = {"type": ["integer", "string"], "description": "A number wherever it is one"}
ANY: Schema = {}
OBJECT: Schema = {"type": "object"}


class _Numbers(GenerateJsonSchema):
    """Decimals are JSON numbers in every answer. Requests may have them as strings, too."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """Returns the schema of a decimal."""
        return {"type": "number"} if self.mode == "serialization" else super().decimal_schema(schema)


def maybe(schema: Schema) -> Schema:
    """Returns the same schema, or null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": [*schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*words: str) -> Schema:
    """Returns the schema of one of these words."""
    return {"type": "string", "enum": list(words)}


def listed(item: Schema) -> Schema:
    """Returns the schema of a JSON list."""
    return {"type": "array", "items": item}


def obj(optional: Mapping[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """Returns the schema of an object with these fields and the optional ones."""
    properties = {**fields, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(fields)}


def page(item: Schema) -> Schema:
    """Returns the schema of a list's page."""
    return obj(items=listed(item), total=maybe(WHOLE), next=maybe(TEXT))


def record(model: type[BaseModel], without: Sequence[str] = (), **others: Schema) -> Schema:
    """Returns the schema of a shown model. `others` replace or extend its fields."""
    shown = _of(model, "serialization")
    properties = {name: schema for name, schema in shown["properties"].items() if name not in without} | dict(
        others
    )
    return {"type": "object", "properties": properties, "required": list(properties)}


def request(model: type[BaseModel]) -> Schema:
    """Returns the schema of a model in a request."""
    return _of(model, "validation")


def _of(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    schema = model.model_json_schema(mode=mode, schema_generator=_Numbers)
    plain: dict[str, Any] = _plain(schema, schema.pop("$defs", {}))
    return plain


def _plain(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Returns the schema without references, titles and other keys outside JSON Schema."""
    if isinstance(schema, list):
        return [_plain(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return copy.copy(schema)
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _plain(
            {**target, **{name: value for name, value in schema.items() if name != "$ref"}}, definitions
        )
    plain = {}
    for name, value in schema.items():
        if name == "properties":
            plain[name] = {field: _plain(inner, definitions) for field, inner in value.items()}
        elif name not in ("title", "ge", "le", "gt", "lt", "max_digits", "decimal_places"):
            plain[name] = value if name in ("default", "enum") else _plain(value, definitions)
    return plain
