"""What stands between `${` and `}`: arithmetic over variables, and nothing that could run, loop or grow.

    comparison: sum, or sum == != < <= > >= sum
    sum:        product, then any number of + product, - product
    product:    signed, then any number of * signed, / signed, // signed, % signed
    signed:     - signed, or a number, a text in quotes, true, false, a name, or a comparison in parentheses

Operators mean what they mean in Python: `/` gives a float, `//` and `%` round down.  Texts can only be
compared for equality.  Whole numbers stay within 64 bits, floats finite.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from netdef.ops.fields import describe
from netdef.spec import limits

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number> (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)? )
  | (?P<name>   [A-Za-z_][A-Za-z0-9_]* )
  | (?P<text>   "[^"]*" | '[^']*' )
  | (?P<sign>   // | [=!<>]= | [-+*/%<>()] )
  | (?P<end>    $ )
    )""",
    re.VERBOSE,
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERALS = {"true": True, "false": False}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_EQUALITY: dict[str, Callable[[Any, Any], Any]] = {"==": operator.eq, "!=": operator.ne}
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KNOWN = "expressions know names, numbers, texts in quotes, + - * / // %, comparisons and parentheses"


class BadExpression(ValueError):
    """An expression that has no value.  `start` and `end` are the part of its text that is to blame."""

    def __init__(self, message: str, start: int, end: int, hint: str = _KNOWN) -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.hint = message, start, end, hint


class Token(NamedTuple):
    """A number, name, text, sign or the end of an expression, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def tokens(source: str) -> list[Token]:
    """The parts of an expression, an end included; raises `BadExpression`."""
    if len(source) > limits.EXPRESSION:
        message = (
            f"an expression of {len(source)} characters is too long; at most {limits.EXPRESSION} are read"
        )
        raise BadExpression(message, 0, len(source), "use a variable for a part of it")
    found: list[Token] = []
    position = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(source, position)
        if match is None:
            start = len(source) - len(source[position:].lstrip())
            if source[start] in "\"'":
                raise BadExpression("a quote is not closed", start, len(source), "add a quote at its end")
            raise BadExpression(f"{source[start]} has no meaning in an expression", start, start + 1)
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
        position = match.end()
    return found


def names(source: list[Token]) -> set[str]:
    """The variables that an expression uses."""
    return {token.text for token in source if token.kind == "name"} - _LITERALS.keys()


def evaluate(source: list[Token], lookup: Callable[[Token], Any]) -> Any:
    """The value of an expression; `lookup` gives that of a name.  Raises `BadExpression` and what it raises.

    A single name may stand for anything; every operand is a number, a text or true or false.
    """
    return _Evaluation(source, lookup).whole()


class _Evaluation:
    def __init__(self, source: list[Token], lookup: Callable[[Token], Any]) -> None:
        self.source, self.lookup = source, lookup
        self.next, self.depth = 0, 0

    @property
    def token(self) -> Token:
        return self.source[self.next]

    def take(self) -> Token:
        self.next += 1
        return self.source[self.next - 1]

    def whole(self) -> Any:
        if self.token.kind == "end":
            hint = "write the name of a variable"
            raise BadExpression("there is nothing between ${ and }", 0, self.token.end, hint)
        value = self.comparison()
        if self.token.kind != "end":
            self.unexpected("an operator or the end")
        return value

    def comparison(self) -> Any:
        left = self.sum()
        if not self.compares():
            return left
        sign = self.take()
        right = self.sum()
        if self.compares():
            again = self.token
            raise BadExpression("comparisons cannot be chained", again.start, again.end, "use parentheses")
        kinds = _kind(left), _kind(right)
        if sign.text in _ORDER:
            if kinds != ("a number", "a number"):
                self.mixed(sign, left, right)
            return _ORDER[sign.text](left, right)
        if kinds[0] != kinds[1] or not kinds[0]:
            self.mixed(sign, left, right)
        return _EQUALITY[sign.text](left, right)

    def compares(self) -> bool:
        """Whether a comparison comes next."""
        return self.token.kind == "sign" and (self.token.text in _EQUALITY or self.token.text in _ORDER)

    def sum(self) -> Any:
        return self.chain(_SUMS, lambda: self.chain(_PRODUCTS, self.signed))

    def chain(self, known: dict[str, Callable[[Any, Any], Any]], operand: Callable[[], Any]) -> Any:
        """Operands with the signs of one rank between them, from left to right."""
        value = operand()
        while self.token.kind == "sign" and self.token.text in known:
            sign = self.take()
            right = operand()
            if (_kind(value), _kind(right)) != ("a number", "a number"):
                self.mixed(sign, value, right)
            value = self.bounded(sign, known[sign.text], value, right)
        return value

    def signed(self) -> Any:
        token = self.take()
        if token.kind == "number":
            return self.bounded(token, int if token.text.isdecimal() else float, token.text)
        if token.kind == "text":
            return token.text[1:-1]
        if token.kind == "name":
            return _LITERALS[token.text] if token.text in _LITERALS else self.lookup(token)
        if token.text not in ("-", "("):
            self.next -= 1
            self.unexpected("a name, a number, a text in quotes or (")
        self.depth += 1
        if self.depth > limits.NESTING:
            message = f"parentheses and signs are nested more than {limits.NESTING} levels deep"
            raise BadExpression(message, token.start, token.end, "use a variable for a part of it")
        if token.text == "-":
            value = self.signed()
            if _kind(value) != "a number":
                raise BadExpression(f"- needs a number, not {describe(value)}", token.start, token.end)
            value = self.bounded(token, operator.neg, value)
        else:
            value = self.comparison()
            if self.token.text != ")":
                self.unexpected(")")
            self.take()
        self.depth -= 1
        return value

    def bounded(self, token: Token, function: Callable[..., Any], *operands: Any) -> Any:
        """What a function gives, if it is a number that netdef can hold."""
        try:
            value = function(*operands)
        except ZeroDivisionError:
            raise BadExpression(
                "this divides by zero", token.start, token.end, "give the divisor a value"
            ) from None
        except OverflowError:
            value = math.inf
        fits = math.isfinite(value) if isinstance(value, float) else -(2**63) <= value < 2**63
        if not fits:
            hint = "whole numbers have 64 bits, floats are finite"
            raise BadExpression("the number gets too large", token.start, token.end, hint)
        return value

    def mixed(self, sign: Token, left: Any, right: Any) -> NoReturn:
        message = f"{sign.text} does not go with {describe(left)} and {describe(right)}"
        hint = "it takes two numbers"
        if sign.text in _EQUALITY:
            hint = "it takes two numbers, two texts, or two of true and false"
        raise BadExpression(message, sign.start, sign.end, hint)

    def unexpected(self, expected: str) -> NoReturn:
        token = self.token
        found = token.text or "the end"
        message = f"{found} stands where {expected} was expected"
        raise BadExpression(message, token.start, max(token.end, token.start + 1))


def _kind(value: Any) -> str:
    """How a value takes part in operations; empty for one that cannot."""
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "a text" if isinstance(value, str) else ""
