"""From a query's text to its tree, or to an error that says where and what was expected.

Written by hand: luqum, the parser of Lucene's language in Python, tells no positions of what is wrong at the end,
knows no NEAR/n, shares one parser's state between threads, and recurses as deep as a text wants it to. Here nesting
is bounded, so that no text ends in a RecursionError.

    either  = both { "OR" both }
    both    = negated { [ "AND" ] negated }
    negated = ( "NOT" | "-" ) negated | near
    near    = operand [ ( "NEAR/n" | "ONEAR/n" ) operand ]
    operand = "(" either ")" | field ":" ( "(" either ")" | value ) | value
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tag_tasks.documents.query import fields
from tag_tasks.documents.query.tokens import Kind, QueryError, Token, tokens
from tag_tasks.documents.query.tree import ANY_TEXT, And, Near, Node, Not, Or, Phrase, Word
from tag_tasks.documents.query.values import leaf

__all__ = ["DEEPEST", "MOST_OPERANDS", "QueryError", "parse"]

MOST_OPERANDS = 50
DEEPEST = 20  # levels of parentheses and of negations
VALUES = (Kind.QUOTED, Kind.BARE, Kind.RANGE, Kind.COMPARED)
BEGIN_OPERAND = (*VALUES, Kind.OPEN, Kind.FIELD, Kind.NOT, Kind.MINUS)


def parse(text: str) -> Node:
    """The query's tree. Raises QueryError, and nothing else, where the text is no query."""
    return _Parser(text).all()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._next = 0
        self._field = ANY_TEXT
        """That of the group that is being read."""
        self._depth = 0
        self._operands = 0

    def all(self) -> Node:
        node = self._either()
        if self._token.kind is not Kind.END:
            raise self._token.error("AND, OR or the end")
        return node

    # -- tokens ------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *kinds: Kind) -> Token | None:
        token = self._token
        if token.kind not in kinds:
            return None
        self._next += 1
        return token

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        if self._depth == DEEPEST:
            raise token.error(f"at most {DEEPEST} levels of parentheses and negations")
        self._depth += 1
        yield
        self._depth -= 1

    # -- the grammar -------------------------------------------------------------------------

    def _either(self) -> Node:
        parts = [self._both()]
        while self._take(Kind.OR):
            parts.append(self._both())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _both(self) -> Node:
        parts = [self._negated()]
        while self._take(Kind.AND) or self._token.kind in BEGIN_OPERAND:
            parts.append(self._negated())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _negated(self) -> Node:
        if self._token.kind is Kind.MINUS and self._of_numbers():
            return self._near()
        if (token := self._take(Kind.NOT, Kind.MINUS)) is None:
            return self._near()
        with self._deeper(token):
            return Not(self._negated())

    def _near(self) -> Node:
        first, left = self._token, self._operand()
        if (near := self._take(Kind.NEAR)) is None:
            return left
        second, right = self._token, self._operand()
        one, other = _neighbour(first, left), _neighbour(second, right)
        if one.field != other.field:
            raise second.error(f"a word or a phrase of the same field as before {near.text}")
        if self._token.kind is Kind.NEAR:
            raise self._token.error("AND, OR or the end (NEAR joins two)")
        return Near(one, other, near.number, near.ordered)

    def _operand(self) -> Node:
        if token := self._take(Kind.OPEN):
            return self._group(token)
        if token := self._take(Kind.FIELD):
            return self._of_field(token)
        return self._value()

    def _group(self, opening: Token) -> Node:
        with self._deeper(opening):
            node = self._either()
        if self._take(Kind.CLOSE) is None:
            raise self._token.error("')'")
        return node

    def _of_field(self, token: Token) -> Node:
        if self._field != ANY_TEXT:
            raise token.error(f"a value of {self._field}: {fields.field(self._field).allowed}")
        self._field = token.text
        opening = self._take(Kind.OPEN)
        node = self._group(opening) if opening else self._value()
        self._field = ANY_TEXT
        return node

    def _value(self) -> Node:
        minus = self._take(Kind.MINUS) if self._of_numbers() else None
        if (token := self._take(*VALUES)) is None:
            raise self._token.error(self._expected())
        self._operands += 1
        if self._operands > MOST_OPERANDS:
            raise token.error(f"at most {MOST_OPERANDS} operands")
        if minus:
            token = replace(token, position=minus.position, text=f"-{token.text}")
        return leaf(self._field, token)

    def _of_numbers(self) -> bool:
        """There a minus is a sign: `sentiment:(-3 OR -4)`."""
        return fields.field(self._field).kind is fields.Kind.NUMBER

    def _expected(self) -> str:
        if self._field == ANY_TEXT:
            return "a word, a phrase, a field or '('"
        return f"a value of {self._field}: {fields.field(self._field).allowed}"


def _neighbour(token: Token, node: Node) -> Word | Phrase:
    if isinstance(node, Word) or (isinstance(node, Phrase) and not node.slop):
        return node
    raise token.error("a word or a phrase beside NEAR")
