"""What cutting a response into steps costs the event loop: `python -m tests.bench.steps [--repeats 5] [--steps JSON]`.

Milliseconds of CPU for 1,000 tokens, which come 16 at a time, by tokenizer, text and length; the cost is linear
where longer responses cost no more for each token.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import StepRule
from models.policy.steps import StepSplitter
from server.schemas import StepsIn
from tests.conftest import DEMO
from tests.models.tokenizers import SAVES, ugly_texts

LENGTHS = (4_000, 32_000)
AT_ONCE = 16


def cost(tokenizer: ChatTokenizer, token_ids: list[int], rule: StepRule, repeats: int) -> tuple[float, float]:
    """Return median and largest of the milliseconds for 1,000 tokens."""
    costs = []
    for _ in range(repeats):
        splitter, start = StepSplitter(tokenizer, (), rule), time.thread_time()
        for first in range(0, len(token_ids), AT_ONCE):
            list(splitter.feed(token_ids[first : first + AT_ONCE], None))
        costs.append((time.thread_time() - start) * 1e6 / len(token_ids))
    return statistics.median(costs), max(costs)


def main(rule: StepRule, repeats: int) -> None:
    """Measure and print."""
    titles = (f"{length:,} tokens: median (worst)" for length in LENGTHS)
    table = Table("tokenizer", "text", *titles, title="ms of CPU for 1,000 tokens (bar: 5)")
    with tempfile.TemporaryDirectory() as directory:
        made = {name: save(Path(directory) / name) for name, save in SAVES.items()}
    for name, tokenizer in {"the demo's": ChatTokenizer(DEMO / "policy"), **made}.items():
        texts = [ugly_texts(tokenizer, length) for length in LENGTHS]
        for text in texts[0]:
            costs = [cost(tokenizer, each[text], rule, repeats) for each in texts]
            table.add_row(name, text, *(f"{median:.2f} ({worst:.2f})" for median, worst in costs))
    Console(width=140).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", default='{"delimiter": "\\n\\n"}', help="The rule, as requests have it.")
    options = parser.parse_args()
    main(StepsIn.model_validate_json(options.steps).rule, options.repeats)
