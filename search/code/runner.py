"""What runs inside the sandbox, the only file of the service that a program shares a process with.

Says that it is ready: from now on the sandbox ends with the service. Reads a program from standard input, a line of
JSON, and runs it; says that it is ready for more; reads the tests and a nonce, which a program cannot know while it is
imported; runs them; and writes the nonce with what came of it. A process that ends before that has failed.

Tests see builtins as they were before the program ran, and an object of the program's own class that brings its own
`==` or `<` is never equal to, or ordered with, a value of another kind: a result that claims to equal everything fails.
Standard library only, and little of it, as every run imports it anew.
"""

import ast
import builtins
import json
import operator
import os
import resource
import sys
from collections.abc import Callable, Mapping
from types import CoroutineType, FunctionType, ModuleType
from typing import Any

PROGRAM, TESTS = "solution", "tests"
REQUESTS, VERDICTS = 3, 4
READY = b"{}\n"
MAX_DETAIL = 1_000
FILE_BYTES, FILES, STACK_BYTES = 8 << 20, 32, 8 << 20
_MADE_AT_RUN_TIME = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_COMPARISONS = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"})
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda item, items: item in items,
    "NotIn": lambda item, items: item not in items,
}


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Limit this process for good: no right is left that could raise a limit."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def compare(left: Any, *rest: Any) -> Any:
    """Compare as Python does, but that a program's objects do not decide how they compare with other values.

    Args:
        left: The first operand.
        rest: In turn, the name of an operator and the next operand.
    """
    result: Any = True
    for name, right in zip(rest[::2], rest[1::2], strict=True):
        if name in ("Is", "IsNot") or has_own_order(left) == has_own_order(right):
            result = _OPERATORS[name](left, right)
        elif name in ("In", "NotIn") and type(right) not in (list, tuple, set, frozenset, dict):
            result = _OPERATORS[name](left, right)  # a container of the program's own
        else:
            result = name in ("NotEq", "NotIn")
        if not result:
            return result
        left = right
    return result


def has_own_order(value: Any) -> bool:
    """Tell whether a value is, or holds, an object of a program's class that says itself what it equals."""
    values, seen = [value], set()
    while values:
        value = values.pop()
        if any(_COMPARISONS & vars(cls).keys() for cls in type(value).__mro__ if not _is_known(cls)):
            return True
        if isinstance(value, (list, tuple, set, frozenset, dict)) and id(value) not in seen:
            seen.add(id(value))
            values += [*value, *value.values()] if isinstance(value, dict) else value
    return False


def _is_known(cls: type) -> bool:
    """Tell whether a class is of C, of the standard library or of the tests: found where it says that it is from."""
    if not cls.__flags__ & _MADE_AT_RUN_TIME:
        return True
    home = sys.modules.get(cls.__module__)
    return cls.__module__ == TESTS or (cls.__module__ != PROGRAM and getattr(home, cls.__name__, None) is cls)


class Watch(ast.NodeTransformer):
    """Makes tests compare by `compare`, and count what they assert."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Turn `a == b < c` into `compare(a, "Eq", b, "Lt", c)`."""
        self.generic_visit(node)
        operands = [node.left]
        for each, operand in zip(node.ops, node.comparators, strict=True):
            operands += [ast.Constant(type(each).__name__), operand]
        return ast.copy_location(ast.Call(ast.Name(" compare", ast.Load()), operands, []), node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Count the assertion where it is made."""
        self.generic_visit(node)
        node.test = ast.copy_location(ast.Call(ast.Name(" count", ast.Load()), [node.test], []), node.test)
        return node


def compile_tests(tests: str) -> Any:
    return compile(ast.fix_missing_locations(Watch().visit(ast.parse(tests, TESTS))), TESTS, "exec")


def run_tests(tests: str, program: ModuleType, pristine: dict[str, Any]) -> None:
    """Run the tests, then their functions `test...`, on the names of a program.

    Raises:
        BaseException: What they raise.
    """
    num_asserted = 0

    def count(holds: Any) -> Any:
        nonlocal num_asserted
        num_asserted += 1
        return holds

    names = {name: value for name, value in vars(program).items() if not name.startswith("__")}
    names |= {"__name__": TESTS, "__builtins__": pristine, " compare": compare, " count": count}
    before = dict(names)
    exec(compile_tests(tests), names)
    new = [(name, value) for name, value in names.items() if value is not before.get(name)]
    for name, test in new:
        if isinstance(test, FunctionType) and name.startswith("test") and not test.__code__.co_argcount:
            outcome = test()
            if isinstance(outcome, CoroutineType):
                import asyncio  # which takes as long as all else here

                asyncio.run(outcome)
    if not num_asserted:
        raise AssertionError("the tests asserted nothing: write assert statements, in functions called test...")


def describe(error: BaseException, tests: str) -> str:
    """Return what was raised, and where the tests were then."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - an exception of the program's
        text = ""
    lines, trace, where = tests.splitlines(), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == TESTS and 0 < trace.tb_lineno <= len(lines):
            where = f" at line {trace.tb_lineno} of the tests: {lines[trace.tb_lineno - 1].strip()}"
        trace = trace.tb_next
    return f"{type(error).__name__}{': ' if text else ''}{text[: MAX_DETAIL // 2]}{where[: MAX_DETAIL // 2]}"


def read_line() -> Any:
    """Return a line of JSON, read to its end and no further; None at the end of the stream."""
    line = b""
    while not line.endswith(b"\n"):
        if not (part := os.read(REQUESTS, 65_536)):
            return None
        line += part
    return json.loads(line)


def take_over_streams() -> None:
    """Move the streams of the service to other numbers, leave the program /dev/null, and close all else.

    What the service had open may have come with them: not every event loop closes it.
    """
    os.dup2(0, REQUESTS, inheritable=False)
    os.dup2(1, VERDICTS, inheritable=False)
    os.closerange(VERDICTS + 1, os.sysconf("SC_OPEN_MAX"))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)


def main(memory_bytes: int, cpu_s: int) -> None:
    """Serve one program and end the process."""
    take_over_streams()
    os.write(VERDICTS, READY)
    if (request := read_line()) is None:
        return  # the service has died
    write, end, dump = os.write, os._exit, json.dumps
    pristine = dict(vars(builtins))
    program = sys.modules[PROGRAM] = ModuleType(PROGRAM)
    sys.modules["__main__"] = ModuleType("__main__")  # this one is not for the program
    limit(memory_bytes, cpu_s)
    tests = request.get("tests")

    def conclude(failure: str | None, nonce: str = "") -> None:
        write(VERDICTS, dump({"failure": failure, "nonce": nonce}).encode() + b"\n")
        end(0)

    try:
        if tests is not None:  # only compiled
            compile_tests(tests)
            conclude(None)
        exec(compile(request["code"], PROGRAM, "exec"), vars(program))
    except BaseException as error:  # noqa: BLE001 - whatever a program raises
        place = f" at line {error.lineno}" if isinstance(error, SyntaxError) else ""
        conclude(describe(error, "") + place)
    write(VERDICTS, READY)
    request = read_line()
    sys.settrace(None)
    sys.setprofile(None)
    sys.modules[PROGRAM] = program
    try:
        run_tests(request["tests"], program, pristine)
    except BaseException as error:  # noqa: BLE001
        conclude(describe(error, request["tests"]), request["nonce"])
    conclude(None, request["nonce"])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
