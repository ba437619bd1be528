"""What the tree searches (beam search, DVTS) have in common."""

from search.errors import HyperparameterError


def refuse_nonsense(n: int, beam_width: int, max_steps: int, lookahead: int) -> None:
    """Refuse hyperparameters with which no tree can be searched.

    Raises:
        HyperparameterError: It names the field, what was wrong and what is allowed.
    """
    if n < 1:
        raise HyperparameterError("n", f"a budget of {n} is too small: at least 1")
    if beam_width < 1:
        raise HyperparameterError("beam_width", f"{beam_width} children are too few: at least 1")
    if n > 1 and n % beam_width:
        raise HyperparameterError("beam_width", f"n = {n} is not divisible by beam_width = {beam_width}")
    if max_steps < 1:
        raise HyperparameterError("max_steps", f"{max_steps} steps are too few: at least 1")
    if lookahead < 0:
        raise HyperparameterError("lookahead", f"{lookahead} steps cannot be rolled out: at least 0")
