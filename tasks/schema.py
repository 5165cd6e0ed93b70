"""JSON Schema of what tasks write, from the types of their results."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


class WrittenSchema(GenerateJsonSchema):
    """Schema of a result as it is written: every field of a dataclass, but those kept beside."""

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        """With the docstring, which older versions of pydantic leave out."""
        made = super().dataclass_schema(schema)
        return {"description": cleandoc(schema["cls"].__doc__), **made}

    def field_is_present(self, field: Any) -> bool:
        """Whether JSON holds a field."""
        beside = any(s.get("metadata", {}).get("beside") for s in _nested(field["schema"]))
        return not beside and super().field_is_present(field)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """The name of a field says what a title would say."""
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        """A result writes all its fields, whether or not they have a default."""
        if field["type"] == "dataclass-field":
            return True
        return super().field_is_required(field, total)


def _nested(schema: Any) -> Iterator[Any]:
    """A core schema and those that it wraps, such as that of a field with a default."""
    while schema is not None:
        yield schema
        schema = schema.get("schema")
