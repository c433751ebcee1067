"""Everything that Dagster's GraphQL can change, as documents to be sent.

They are made from the schema that the server tells of, so that a mutation that comes with a new version is there too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    build_client_schema,
    get_introspection_query,
    get_named_type,
    is_abstract_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

INTROSPECTION = get_introspection_query(descriptions=False)


@dataclass(frozen=True)
class Mutation:
    """One of them, with values for what it has to be given."""

    name: str
    query: str
    variables: dict[str, Any]


def mutations(introspected: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Mutation]:
    """All of them, given what the introspection query is answered with.

    `known` has values by the name of an argument or field, or by `mutation.argument`; what is not required and not
    known is left out.
    """
    schema = build_client_schema(dict(introspected))
    assert schema.mutation_type is not None
    for name, field in schema.mutation_type.fields.items():
        values = {
            argument: known.get(f"{name}.{argument}", _value(argument, it.type, known))
            for argument, it in field.args.items()
            if is_non_null_type(it.type) or f"{name}.{argument}" in known or argument in known
        }
        yield Mutation(name, _document(schema, name, field, values), values)


def _document(schema: GraphQLSchema, name: str, field: GraphQLField, values: Mapping[str, Any]) -> str:
    declared = ", ".join(f"${argument}: {field.args[argument].type}" for argument in values)
    passed = ", ".join(f"{argument}: ${argument}" for argument in values)
    called = f"{name}({passed})" if values else name
    return f"mutation {f'({declared})' if values else ''} {{ {called} {_selection(schema, field.type)} }}"


def _selection(schema: GraphQLSchema, type_: GraphQLOutputType, depth: int = 1) -> str:
    """The kinds of result and their messages, also of the results in them."""
    named = get_named_type(type_)
    if is_object_type(named):
        return f"{{ __typename {_fields(schema, named, depth)} }}"
    if is_abstract_type(named):
        kinds = schema.get_possible_types(named)
        return f"{{ {' '.join(f'... on {kind.name} {_selection(schema, kind, depth)}' for kind in kinds)} }}"
    return ""


def _fields(schema: GraphQLSchema, kind: GraphQLObjectType, depth: int) -> str:
    """Aliases, for kinds may have the same field with another type."""
    fields = [(name, field.type) for name, field in kind.fields.items() if not field.args]
    messages = [f"{kind.name}_message: message" for name, _ in fields if name == "message"]
    results = [
        f"{kind.name}_{name}: {name} {_selection(schema, type_, depth - 1)}"
        for name, type_ in fields
        if depth and is_abstract_type(get_named_type(type_))
    ]
    return " ".join([*messages, *results])


def _value(name: str, type_: GraphQLInputType, known: Mapping[str, Any]) -> Any:
    if name in known:
        return known[name]
    if is_non_null_type(type_):
        return _value(name, type_.of_type, known)
    if is_list_type(type_):
        return [_value(name, type_.of_type, known)]
    if is_enum_type(type_):
        return next(iter(type_.values))
    if is_input_object_type(type_):
        return {
            field: _value(field, it.type, known)
            for field, it in type_.fields.items()
            if is_non_null_type(it.type) or field in known
        }
    return {"Int": 1, "Float": 1.0, "Boolean": True, "RunConfigData": {}}.get(type_.name, "x")
