"""Reads what an answer states, in LaTeX's notation or in plain text's: a recursive descent. Computes nothing.

From the whole to its parts: lists of items, comparisons of sides, sets and ratios, sums of products of powers, and what
these are made of: commands, functions, brackets, matrices, symbols, words, numbers.
"""

from fractions import Fraction

from search.answers.reading.counting import at_unit, read_unit
from search.answers.reading.cursor import Cursor
from search.answers.reading.literal import read_cut_off, read_literal, read_recurring
from search.answers.reading.naming import take_extreme, take_label
from search.answers.reading.notation import at_conjunction, take_domain, take_written_out
from search.answers.reading.syntax import (
    CONSTANTS,
    ELLIPSIS,
    INFINITY,
    REALS,
    Apply,
    Group,
    Matrix,
    Node,
    Number,
    Numeral,
    Quantity,
    Relation,
    Symbol,
    UnreadableError,
    Words,
)
from search.answers.reading.tokens import Kind, Token, tokenize
from search.answers.reading.units import find_unit
from search.answers.reading.words import BASES, CONJUNCTIONS, FUNCTIONS, INTRODUCTIONS

_COMPARISONS = {
    "=": "=", "==": "=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "le": "<=", "leq": "<=",
    "leqslant": "<=", ">=": ">=", "ge": ">=", "geq": ">=", "geqslant": ">=", "!=": "!=", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "in": "in",
}  # fmt: skip
_TIMES = frozenset({"*", "cdot", "times", "ast"})
_OVER = frozenset({"/", "div"})
_DEGREES = (("^", "circ"), ("^", "{", "circ", "}"), ("degree",), ("^", "degree"))
_NO_FACTOR = frozenset(
    {
        "cup", "cap", "setminus", "backslash", "in", "notin", "to", "rightarrow", "Rightarrow", "implies", "iff", "le",
        "leq", "leqslant", "lt", "ge", "geq", "geqslant", "gt", "ne", "neq", "approx", "equiv", "sim", "simeq", "pm",
        "mp", "cdot", "times", "ast", "div", "mod", "bmod", "pmod", "mid", "land", "lor", "circ", "degree", "prime",
        "over", "choose", "rfloor", "rceil",
    }
)  # fmt: skip
"""Commands that begin no factor of a product."""
_MINUS_ONE = Apply("neg", (Number(Fraction(1)),))
_ANGULAR = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_VARIADIC = frozenset({"gcd", "lcm", "max", "min"})
_DECORATIONS = frozenset(
    {
        "vec", "overrightarrow", "overline", "bar", "hat", "tilde", "underline", "mathcal", "mathbb", "angle",
        "triangle", "dot", "ddot", "Delta",
    }
)  # fmt: skip
_UNREAD = frozenset({"int", "iint", "oint", "lim", "partial", "nabla", "forall", "exists"})
"""Commands that mean more than a symbol: an answer that holds one compares as text."""
_CLOSING = {"(": (")", "]"), "[": ("]", ")"), "{": ("}",), r"\{": (r"\}",)}
_STACKED = {"over": "/", "choose": "binom"}
_FENCES = {"|": ("abs", "|"), "lfloor": ("floor", "rfloor"), "lceil": ("ceil", "rceil")}
_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array", "vmatrix"})
_FUNCTIONS = frozenset({"f", "g", "h", "F", "G", "H", "Gamma", "zeta", "phi", "varphi"})
"""Symbols that are applied to the brackets behind them; all others are multiplied with them."""


def read_statement(text: str) -> Node:
    """Read a normalised answer.

    Raises:
        UnreadableError: It is no mathematics that is read here.
    """
    return Parser(tokenize(text)).read_statement()


class Parser(Cursor):
    """Reads one answer.

    Attributes:
        in_bars: True between the bars of an absolute value, where a bar closes.
        in_angle: True in the argument of a trigonometric function, where a degree sign counts.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        super().__init__(tokens)
        self.in_bars = False
        self.in_angle = False

    def read_statement(self) -> Node:
        """Read to the end.

        Raises:
            UnreadableError: The end is not reached.
        """
        statement = self._read_items()
        if self.peek().kind is not Kind.END:
            raise UnreadableError
        return statement

    def _read_items(self) -> Node:
        """Read one item or a list of items; semicolons divide a list of lists where commas divide the inner ones."""
        parts: list[list[Node]] = [[self._read_item()]]
        while separator := self._take_separator() or (self._at_compound(parts[-1][-1]) and ","):
            if separator == ";":
                parts.append([])
            parts[-1].append(self._read_item())
        if all(len(part) == 1 for part in parts):
            return _list([part[0] for part in parts])
        return _list([_list(part) for part in parts])

    def _take_separator(self) -> str | None:
        """Take a comma, a semicolon, "and", "or", or a comma with one of these behind it."""
        taken = None
        while self.sees(Kind.MARK, ",;") or at_conjunction(self):
            taken = ";" if ";" in (self.take().text, taken) else ","
        return taken

    def _at_compound(self, item: Node) -> bool:
        """True between the parts of `5 feet 3 inches`."""
        return isinstance(item, Quantity) and self.peek().kind is Kind.NUMBER

    def _read_item(self) -> Node:
        """Read sides joined by comparisons; a sign of equality with nothing before it says nothing."""
        if self.sees(Kind.MARK, "=") or self.sees(Kind.NAME, ("approx",)):
            self.take()
        if written := take_written_out(self):
            return written
        sides, operators = [take_label(self) or self._read_side()], []
        while operator := self._take_comparison():
            operators.append(operator)
            sides.append(self._read_side())
        return Relation(tuple(sides), tuple(operators)) if operators else sides[0]

    def _take_comparison(self) -> str | None:
        token = self.peek()
        if token.kind in {Kind.MARK, Kind.NAME} and token.text in _COMPARISONS:
            return _COMPARISONS[self.take().text]
        return None

    def _read_side(self) -> Node:
        """Read a union or a difference of sets, a ratio, or an expression."""
        parts = [self._read_intersection()]
        while self.accept(Kind.NAME, ("cup",)) or self.accept(Kind.LETTER, ("U",)):
            parts.append(self._read_intersection())
        whole = parts[0] if len(parts) == 1 else Group("|", tuple(parts))
        if self.accept(Kind.NAME, ("setminus", "backslash")):
            return Group("-", (whole, self._read_ratio()))
        return whole

    def _read_intersection(self) -> Node:
        parts = [self._read_ratio()]
        while self.accept(Kind.NAME, ("cap",)):
            parts.append(self._read_ratio())
        return parts[0] if len(parts) == 1 else Group("&", tuple(parts))

    def _read_ratio(self) -> Node:
        terms = [self._read_stacked()]
        while self.accept(Kind.MARK, ":") or self._accept_to():
            terms.append(self._read_stacked())
        match terms:
            case [Words() as label, value]:
                return Relation((label, value), ("=",))
        return terms[0] if len(terms) == 1 else Group(":", tuple(terms))

    def _accept_to(self) -> bool:
        """Take the word of `3 to 4`."""
        return self.peek(1).kind is Kind.NUMBER and self.accept(Kind.WORDS, ("to",)) is not None

    def _read_stacked(self) -> Node:
        r"""Read a sum, or one set over another: `1 \over 2`."""
        content = self._read_sum()
        if stacked := self.accept(Kind.NAME, _STACKED):
            return Apply(_STACKED[stacked.text], (content, self._read_sum()))
        return content

    def _read_sum(self) -> Node:
        """Read terms joined by plus, minus, plus-minus."""
        terms = [self._read_term()]
        while self.sees(Kind.MARK, "+-") or self.sees(Kind.NAME, ("pm", "mp")):
            terms.append(self._read_term())
        match terms:
            case [Group() as whole, Apply("neg", (Group("{}") as removed,))]:
                return Group("-", (whole, removed))
        return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))

    def _read_term(self) -> Node:
        """Read a product; factors side by side multiply, from left to right like those joined by a sign."""
        product = self._read_signed()
        while True:
            if self._accept_either(_TIMES):
                product = Apply("*", (product, self._read_signed()))
            elif self._accept_either(_OVER):
                product = Apply("/", (product, self._read_signed()))
            elif at_unit(self, product) and not (self.sees(Kind.WORDS, ("to",)) and self.peek(1).kind is Kind.NUMBER):
                product = read_unit(self, product)
            elif self._at_note():
                self.take()
                product = read_unit(self, product)
                self.expect(")")
            elif self._at_factor(product):
                product = _beside(product, self._read_power())
            else:
                return product

    def _read_factors(self) -> Node:
        """Read factors side by side, up to the next function."""
        is_negative = self.accept(Kind.MARK, "-")
        product = self._read_power()
        product = Apply("neg", (product,)) if is_negative else product
        while self._at_factor(product) and self.peek().text not in FUNCTIONS:
            product = Apply("*", (product, self._read_power()))
        return product

    def _read_exponent(self) -> Node:
        """Read an atom with its sign and its power."""
        if self.accept(Kind.MARK, "-"):
            return Apply("neg", (self._read_exponent(),))
        return self._read_behind(self._read_atom())

    def _at_note(self) -> bool:
        """True at words in brackets behind a number: `9 (apples)`."""
        return self.sees(Kind.MARK, "(") and self.peek(1).kind is Kind.WORDS and not self.peek(1).is_upright

    def _read_signed(self) -> Node:
        if self.peek(1).kind is not Kind.END and (word := self.accept(Kind.WORDS, INTRODUCTIONS)):
            value, currency = self._read_signed(), find_unit(word.text)
            return Quantity(value, currency) if currency else value
        if self.accept(Kind.MARK, "+"):
            return self._read_signed()
        if self.accept(Kind.MARK, "-"):
            return Apply("neg", (self._read_signed(),))
        if sign := self.accept(Kind.NAME, ("pm", "mp")):
            return Apply(sign.text, (self._read_signed(),))
        return self._read_power()

    def _read_power(self) -> Node:
        r"""Read an atom or a mixed number with its power; `\frac12\frac13` and `2^3\frac12` are products."""
        is_integer = self.peek().kind is Kind.NUMBER and self.peek().text.isdecimal()
        base = self._read_atom()
        if is_integer and isinstance(base, Number):
            base = Number(base.value + self._read_proper_fraction())
        return self._read_behind(base)

    def _read_behind(self, base: Node) -> Node:
        """Read what is set behind or above `base`; powers associate to the right."""
        while True:
            if self.accept(Kind.MARK, "!"):
                base = Apply("factorial", (base,))
            elif self._accept_degree():
                base = self._read_degrees(base)
            elif self.accept(Kind.MARK, ("^", "**")):
                return Apply("^", (base, self._read_exponent()))
            else:
                return base

    def _read_degrees(self, number: Node) -> Node:
        """Read what a sign of degrees counts: of an angle, of Celsius, of Fahrenheit."""
        if self.in_angle:
            return Apply("degree", (number,))
        scale = {"C": "celsius", "F": "fahrenheit"}.get(self.peek().text) if isinstance(number, Number) else None
        if scale:
            self.take()
        unit = find_unit(scale or "degree")
        return Quantity(number, unit) if unit else number

    def _accept_either(self, texts: frozenset[str]) -> bool:
        return bool(self.accept(Kind.MARK, texts) or self.accept(Kind.NAME, texts))

    def _accept_degree(self) -> bool:
        return any(self._accept_all(*sign) for sign in _DEGREES)

    def _at_factor(self, before: Node) -> bool:
        token = self.peek()
        match token.kind:
            case Kind.MARK:
                return token.text in {"(", "[", "{", r"\{"} or (token.text == "|" and not self.in_bars)
            case Kind.NAME:
                return token.text not in _NO_FACTOR
            case Kind.NUMBER if isinstance(before, Quantity):
                return False
            case Kind.NUMBER if isinstance(before, Number):
                raise UnreadableError  # two numbers side by side: nobody knows what is meant
            case Kind.LETTER if isinstance(before, Group):
                return token.text != "U"  # which some write for a union
        return token.kind in {Kind.NUMBER, Kind.LETTER, Kind.BEGIN}

    def _read_argument(self) -> Node:
        """Read a command's argument: a group in braces or a single token, of a number one digit."""
        self.split()
        return self._read_atom()

    def _read_command(self, name: str) -> Node:
        """Read the arguments of the command `name`, which has been taken."""
        if name in FUNCTIONS:
            return self._read_function(name)
        if name in _DECORATIONS:
            content = self._read_argument()
            return REALS if name == "mathbb" and content == Symbol("R") else Apply(name, (content,))
        if name in _UNREAD:
            raise UnreadableError
        match name:
            case "frac":
                return _fraction(self._read_argument(), self._read_argument())
            case "binom":
                return Apply(name, (self._read_argument(), self._read_argument()))
            case "sqrt":
                return self._read_root()
            case "sum" | "prod":
                return self._read_series(name)
            case "boxed" | "fbox":
                return self._read_argument()
            case "emptyset" | "varnothing":
                return Group("{}", ())
            case "infty" | "infinity" | "inf":
                return INFINITY
            case "ldots":
                return ELLIPSIS
        if name not in CONSTANTS and self.sees(Kind.MARK, "{"):
            raise UnreadableError  # an argument of a command that is not known
        return self._read_symbol(name)

    def _read_root(self) -> Node:
        if not self.accept(Kind.MARK, "["):
            return Apply("root", (self._read_atom(),))
        degree = self._read_sum()
        self.expect("]")
        return Apply("root", (self._read_argument(), degree))

    def _read_series(self, name: str) -> Node:
        r"""Read `_{k=a}^{b}` and the term; the index, the bounds and the term are the arguments of `\sum`."""
        self.expect("_")
        self.expect("{")
        index = Symbol(self.take().text)
        self.expect("=")
        lower = self._read_sum()
        self.expect("}")
        self.expect("^")
        return Apply(name, (index, lower, self._read_argument(), self._read_term()))

    def _read_function(self, name: str) -> Node:
        """Read the base, the power and the arguments of a function."""
        base = (self._read_argument(),) if name == "log" and self.accept(Kind.MARK, "_") else ()
        power = self._read_exponent() if self.accept(Kind.MARK, ("^", "**")) else None
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
            argument = self._read_atom()
            args = argument.items if isinstance(argument, Group) else (argument,)
        else:
            args = (self._read_factors(),)
        self.in_angle = outer
        return args

    def _read_atom(self) -> Node:
        """Read a number, a symbol, words, or whatever a bracket or a command opens."""
        with self.nested():
            token = self.take()
            match token.kind:
                case Kind.NUMBER:
                    return self._read_number(token.text)
                case Kind.LETTER:
                    return self._read_symbol(token.text)
                case Kind.WORDS:
                    return self._read_words(token.text)
                case Kind.BEGIN if token.text in _MATRICES:
                    return self._read_matrix(token.text)
                case Kind.MARK if token.text in _CLOSING:
                    return self._read_bracketed(token.text)
                case Kind.MARK | Kind.NAME if token.text in _FENCES:
                    return self._read_fenced(*_FENCES[token.text])
                case Kind.NAME:
                    return self._read_command(token.text)
        raise UnreadableError

    def _read_symbol(self, name: str) -> Node:
        """Read the index, the primes and the argument of the symbol `name`, which has been taken."""
        indices: tuple[Node, ...] = ()
        if self.accept(Kind.MARK, "_"):
            if extreme := take_extreme(self):
                name = f"{name}_{extreme}"
            else:
                match index := self._read_atom():
                    case Number(label) | Words(label):
                        name = f"{name}_{label}"
                    case _:
                        indices = (index,)
        while self.accept(Kind.MARK, "'"):
            name += "'"
        if name in _FUNCTIONS and self._accept_inverse():
            name += "^-1"
        is_function = name.removesuffix("^-1").rstrip("'").partition("_")[0] in _FUNCTIONS or self._at_definition()
        if is_function and self.sees(Kind.MARK, "("):
            return Apply(f"{name}()", (self._read_atom(), *indices))
        return Apply(f"{name}_", indices) if indices else Symbol(name)

    def _accept_inverse(self) -> bool:
        """Take the exponent of `f^{-1}(x)`, which is a function of its own."""
        return self._accept_all("^", "{", "-", "1", "}", then="(") or self._accept_all("^", "-", "1", then="(")

    def _accept_all(self, *texts: str, then: str = "") -> bool:
        """Take tokens, if these are what comes next, and one that stays behind them."""
        is_there = all(self.peek(ahead).text == text for ahead, text in enumerate((*texts, *filter(None, [then]))))
        for _ in texts if is_there else ():
            self.take()
        return is_there

    def _at_definition(self) -> bool:
        """True at `(x) =`, which makes a function of any symbol."""
        return self.peek(2).text == ")" and self.peek(3).text == "="

    def _read_words(self, word: str) -> Node:
        words = [word]
        while self.peek().kind is Kind.WORDS and self.peek().text not in CONJUNCTIONS:
            words.append(self.take().text)
        return REALS if words == ["all", "real", "numbers"] else Words("".join(words))

    def _read_bracketed(self, opening: str) -> Node:
        """Read to the closing bracket; a single item in round brackets or braces is only grouped."""
        if opening == r"\{" and self.accept(Kind.MARK, (r"\}",)):
            return Group("{}", ())
        domain = take_domain(self) if opening == r"\{" else None
        outer, self.in_bars = self.in_bars, False
        content = self._read_items()
        closing = self.expect(_CLOSING[opening]).text
        self.in_bars = outer
        whole = _bracketed(opening + closing, content)
        return whole if domain in (None, REALS) else Group("in", (domain, *_items(content)))

    def _read_fenced(self, operator: str, closing: str) -> Node:
        outer, self.in_bars = self.in_bars, closing == "|"
        content = self._read_sum()
        self.expect((closing,))
        self.in_bars = outer
        return Apply(operator, (content,))

    def _read_matrix(self, environment: str) -> Node:
        rows = [self._read_row()]
        while self.accept(Kind.MARK, (r"\\",)) and self.peek().kind is not Kind.FINISH:
            rows.append(self._read_row())
        if self.take().kind is not Kind.FINISH or len({len(row) for row in rows}) > 1:
            raise UnreadableError
        matrix = Matrix(tuple(rows))
        return Apply("det", (matrix,)) if environment == "vmatrix" else matrix

    def _read_row(self) -> tuple[Node, ...]:
        cells = [self._read_sum()]
        while self.accept(Kind.MARK, "&"):
            cells.append(self._read_sum())
        return tuple(cells)

    def _read_number(self, text: str) -> Node:
        """Read what belongs to the number that begins with `text`, which has been taken."""
        if "." in text and (self.accept(Kind.NAME, ("overline", "bar", "dot")) or self._at_period()):
            return Number(read_recurring(text, self._read_digits()))
        if "." in text and self.accept(Kind.NAME, ("ldots",)):
            return Number(read_cut_off(text))
        if text.isdigit() and (self.accept(Kind.MARK, "_") or self.accept(Kind.WORDS, ("base",))):
            base = self._take_written()
            return Numeral(text.lstrip("0") or "0", BASES.get(base) or _integer(base))
        return Number(read_literal(text))

    def _take_written(self) -> str:
        """Read one token, in brackets or not, as it is written."""
        opening = self.accept(Kind.MARK, "{(")
        text = self.take().text
        if opening:
            self.expect(_CLOSING[opening.text])
        return text

    def _at_period(self) -> bool:
        """True at the brackets of `0.1(6)`."""
        is_whole = self.peek(1).kind is Kind.NUMBER and self.peek(1).text.isdecimal() and self.peek(2).text == ")"
        return is_whole and self.sees(Kind.MARK, "(") and not self.peek().is_spaced

    def _read_digits(self) -> str:
        text = self._take_written()
        _integer(text)
        return text

    def _read_proper_fraction(self) -> Fraction:
        r"""Read the second part of a mixed number, `1 \frac{1}{2}` or `1 1/2`; 0 where none follows."""
        with self.attempt():
            if self.accept(Kind.NAME, ("frac",)):
                top, bottom = (self._read_part() for _ in range(2))
            else:
                top = _integer(self.take().text)
                self.expect("/")
                bottom = _integer(self.take().text)
            if 0 < top < bottom:
                return Fraction(top, bottom)
            raise UnreadableError
        return Fraction(0)

    def _read_part(self) -> int:
        self.split()
        return _integer(self._take_written())


def _list(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Group("", tuple(items))


def _beside(before: Node, behind: Node) -> Node:
    """The product of two factors without a sign between them; a noun takes none, nor one measure another."""
    if isinstance(before, Quantity) and (isinstance(behind, Quantity) or not before.unit.is_measure):
        raise UnreadableError
    return Apply("*", (before, behind))


def _fraction(top: Node, bottom: Node) -> Node:
    """A derivative is no quotient: dy/dx is not y/x."""
    return Apply("derivative" if _is_differential(top) and _is_differential(bottom) else "/", (top, bottom))


def _is_differential(node: Node) -> bool:
    match node:
        case Symbol("d") | Apply("*" | "^", (Symbol("d"), _)) | Apply("*", (Apply("^", (Symbol("d"), _)), _)):
            return True
    return False


def _items(content: Node) -> tuple[Node, ...]:
    return content.items if isinstance(content, Group) and content.brackets == "" else (content,)


def _bracketed(brackets: str, content: Node) -> Node:
    items = _items(content)
    if brackets == r"\{\}":
        return Group("{}", items)
    if brackets == "{}" or isinstance(content, Matrix) or (brackets == "()" and len(items) == 1):
        return content
    return Group(brackets, items)


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise UnreadableError
    return int(text)
