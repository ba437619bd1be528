"""Reads LaTeX's commands and the functions: fractions, roots, series, sines. Computes nothing."""

from abc import abstractmethod
from fractions import Fraction

from search.answers.reading.atom import AtomReader
from search.answers.reading.syntax import INFINITY, REALS, Apply, Group, Node, Number, Symbol, UnreadableError
from search.answers.reading.tokens import Kind, Token
from search.answers.reading.words import FUNCTIONS

_MINUS_ONE = Apply("neg", (Number(Fraction(1)),))
_ANGULAR = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_VARIADIC = frozenset({"gcd", "lcm", "max", "min"})
_DECORATIONS = frozenset(
    {"vec", "overrightarrow", "overline", "bar", "hat", "tilde", "underline", "mathcal", "mathbb", "angle", "triangle"}
)
_UNREAD = frozenset({"int", "iint", "oint", "lim", "partial", "nabla", "ldots", "dots", "cdots", "forall", "exists"})
"""Commands that mean more than a symbol: an answer that holds one compares as text."""


class CommandReader(AtomReader):
    """Reads what begins with a name.

    Attributes:
        in_angle: True in the argument of a trigonometric function, where a degree sign counts.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        super().__init__(tokens)
        self.in_angle = False

    @abstractmethod
    def read_term(self) -> Node:
        """Read a product."""

    @abstractmethod
    def read_exponent(self) -> Node:
        """Read an atom with its sign and its power."""

    @abstractmethod
    def read_factors(self) -> Node:
        """Read factors side by side, up to the next function."""

    def read_argument(self) -> Node:
        """Read a command's argument: a group in braces or a single token, of a number one digit."""
        self.split()
        return self.read_atom()

    def read_command(self, name: str) -> Node:
        """Read the arguments of the command `name`, which has been taken."""
        if name in FUNCTIONS:
            return self._read_function(name)
        if name in _DECORATIONS:
            content = self.read_argument()
            return REALS if name == "mathbb" and content == Symbol("R") else Apply(name, (content,))
        if name in _UNREAD:
            raise UnreadableError
        match name:
            case "frac":
                return _fraction(self.read_argument(), self.read_argument())
            case "binom":
                return Apply(name, (self.read_argument(), self.read_argument()))
            case "sqrt":
                return self._read_root()
            case "sum" | "prod":
                return self._read_series(name)
            case "boxed" | "fbox":
                return self.read_argument()
            case "emptyset" | "varnothing":
                return Group("{}", ())
            case "infty" | "infinity" | "inf":
                return INFINITY
        return self.read_symbol(name)

    def _read_root(self) -> Node:
        if not self.accept(Kind.MARK, "["):
            return Apply("root", (self.read_atom(),))
        degree = self.read_sum()
        self.expect("]")
        return Apply("root", (self.read_argument(), degree))

    def _read_series(self, name: str) -> Node:
        r"""Read `_{k=a}^{b}` and the term; the index, the bounds and the term are the arguments of `\sum`."""
        self.expect("_")
        self.expect("{")
        index = Symbol(self.take().text)
        self.expect("=")
        lower = self.read_sum()
        self.expect("}")
        self.expect("^")
        return Apply(name, (index, lower, self.read_argument(), self.read_term()))

    def _read_function(self, name: str) -> Node:
        """Read the base, the power and the arguments of a function."""
        base = (self.read_argument(),) if name == "log" and self.accept(Kind.MARK, "_") else ()
        power = self.read_exponent() if self.accept(Kind.MARK, ("^", "**")) else None
        args = self._read_function_args(is_angle=name in _ANGULAR)
        if (len(args) > 1) is not (name in _VARIADIC):
            raise UnreadableError
        if power == _MINUS_ONE:
            return Apply(f"arc{name}", args)
        applied = Apply(name, (*args, *base))
        return applied if power is None else Apply("^", (applied, power))

    def _read_function_args(self, is_angle: bool) -> tuple[Node, ...]:
        r"""Read what stands in brackets, else the factors up to the next function or sign: `\sin 2x \cos y`."""
        outer, self.in_angle = self.in_angle, is_angle
        if self.sees(Kind.MARK, ("(", "{", "[", r"\{")):
            argument = self.read_atom()
            args = argument.items if isinstance(argument, Group) else (argument,)
        else:
            args = (self.read_factors(),)
        self.in_angle = outer
        return args


def _fraction(top: Node, bottom: Node) -> Node:
    """A derivative is no quotient: dy/dx is not y/x."""
    return Apply("derivative" if _is_differential(top) and _is_differential(bottom) else "/", (top, bottom))


def _is_differential(node: Node) -> bool:
    match node:
        case Symbol("d") | Apply("*" | "^", (Symbol("d"), _)) | Apply("*", (Apply("^", (Symbol("d"), _)), _)):
            return True
    return False
