"""ThinkPRM (1.5B, 7B, 14B) as a verifier: it thinks about the steps, and then says whether they are right.

The model is asked to critique each step of the solution so far. Its thoughts end where it ends them, where it turns to
a step that is not there, or at `max_thoughts` tokens. Then it is asked "Is the solution correct?", and the score is the
probability of "Yes" against that of "No" for the next token, whatever their case.

A verdict is on all steps so far. A call that judges several at once, as for a whole response, gets one verdict: it is
the score of the last step, and the steps before it get 1, so that `last`, `min` and `prod` all read the verdict. In a
tree search every step costs thoughts of its own. Thoughts are drawn greedily: the same response gets the same score.

Source: the model card of launch/ThinkPRM-1.5B, and `prm/thinkprm_api.py` and `utils/helper.py` of mukhal/ThinkPRM.
Beyond the source: one line of thoughts, not several whose scores are averaged; the verdict reads thoughts from the
prefix cache, and the next step's thoughts what problem and steps have in common.

Tested on a seeded checkpoint against plain transformers; not run on the published weights.
"""

import math
import re
from collections.abc import Sequence

from models.checkpoints.checkpoint import check_causal_model
from models.checkpoints.head import read_size
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient, require_room
from models.engines.running import ModelSettings
from models.errors import CheckpointError, EngineUnavailableError
from models.generation import Generated, Generation, Stop
from models.interfaces import Meter, Problem, Step, Verdict
from models.prm.generative_prm import sigmoid
from models.prm.served import Served

TEMPLATE = """\
You are given a math problem and a proposed step-by-step solution:

[Math Problem]

{problem}

[Solution]

{solution}

Review and critique each step in the proposed solution to determine whether each step is correct. If the solution is \
incomplete, only verify the provided steps."""
BEGINNING = "\nLet's verify step by step:"
QUESTION = "Is the solution correct?"
END_OF_THOUGHTS = "</think>"
VERDICTS = ((" Yes", " yes"), (" No", " no"))
HEADING = re.compile(r"^(?:#+ *)?Step \d+:\s*")


class ThinkPRM:
    """A process reward model that thinks.

    Args:
        engine: Runs the model.
        tokenizer: The model's own.
        max_thoughts: Most tokens of thoughts before a verdict, at least 1.

    Raises:
        CheckpointError: A verdict is not one token.
    """

    verdict = Verdict.CALL

    def __init__(self, engine: EngineClient, tokenizer: ChatTokenizer, max_thoughts: int) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self._max_thoughts = max_thoughts
        self._question = tokenizer.encode(f"\n{QUESTION}")
        self._right, self._wrong = verdict_ids(tokenizer)
        self._asked = Generation(max_tokens=1, temperature=0, logprob_ids=self._right + self._wrong)

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix`, in one verdict. The tokens of a call that is cancelled are not counted.

        Raises:
            ContextOverflowError: The response leaves no room for thoughts and a verdict.
            EngineUnavailableError: The engine died or refused the request.
        """
        texts = [step.text for step in (*prefix, *steps)]
        request = self.ask(problem, texts)
        room = self.engine.max_model_len - len(request) - len(self._question) - 1
        require_room(self.engine, self.engine.max_model_len - room + 1)
        stops = (QUESTION, END_OF_THOUGHTS, f"Step {len(texts) + 1}:")
        thinking = Generation(max_tokens=min(self._max_thoughts, room), temperature=0, stops=stops)
        thoughts = await self._complete(problem, request, thinking, meter)
        kept = thoughts_before(self._tokenizer, thoughts, stops)
        verdict = await self._complete(problem, (*request, *kept, *self._question), self._asked, meter)
        return (*(1.0 for _ in steps[:-1]), self._probability(verdict))

    def ask(self, problem: Problem, texts: Sequence[str]) -> tuple[int, ...]:
        """Write the chat up to where the model's thoughts begin."""
        numbered = (f"Step {number}: {HEADING.sub('', text.strip())}" for number, text in enumerate(texts, 1))
        asked = TEMPLATE.format(problem=problem.text.strip(), solution="\n".join(numbered))
        return self._tokenizer.encode_chat([("user", asked)], beginning=BEGINNING)

    async def _complete(self, problem: Problem, request: tuple[int, ...], asked: Generation, meter: Meter) -> Generated:
        output = await self.engine.complete(request, asked, affinity=problem.opening)
        num_cached = output.num_cached_tokens or 0
        meter.verifier_cached_tokens += num_cached
        meter.verifier_tokens += len(request) - num_cached + (0 if asked.logprob_ids else len(output.token_ids))
        return output

    def _probability(self, verdict: Generated) -> float:
        logprobs = verdict.logprobs or {}
        if not {*self._right, *self._wrong} <= logprobs.keys():
            raise EngineUnavailableError("the verifier gives no verdict")
        right, wrong = (_log_sum([logprobs[each] for each in ids]) for ids in (self._right, self._wrong))
        return sigmoid(right - wrong)


def thoughts_before(tokenizer: ChatTokenizer, thoughts: Generated, stops: Sequence[Stop]) -> tuple[int, ...]:
    """Return thoughts without what they stopped at: one of `stops`, or the token that ends the sequence."""
    has_ended = thoughts.finish_reason == "stop" and not isinstance(thoughts.stop_reason, str)
    token_ids = tuple(thoughts.token_ids[:-1] if has_ended else thoughts.token_ids)
    text = tokenizer.decode(token_ids)
    end = min((text.find(stop) for stop in stops if isinstance(stop, str) and stop in text), default=len(text))
    while len(tokenizer.decode(token_ids)) > end:
        token_ids = token_ids[:-1]
    return token_ids


def verdict_ids(tokenizer: ChatTokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids of the verdicts right and wrong, in each of their spellings that is one token.

    Raises:
        CheckpointError: None is.
    """
    spelt = [[tokenizer.encode(word) for word in words] for words in VERDICTS]
    right, wrong = (tuple(ids[0] for ids in words if len(ids) == 1) for words in spelt)
    if not right or not wrong:
        missing = " and ".join(map(repr, VERDICTS[0] if not right else VERDICTS[1]))
        raise CheckpointError(f"{tokenizer.file}: neither of {missing} is one token")
    return right, wrong


def _log_sum(logprobs: Sequence[float]) -> float:
    largest = max(logprobs)
    return largest if math.isinf(largest) else largest + math.log(sum(math.exp(each - largest) for each in logprobs))


def read(settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint, which has prompts of its own.

    Raises:
        CheckpointError: It cannot be served.
    """
    check_causal_model(settings.model, with_weights=settings.has_weights)
    tokenizer = ChatTokenizer(settings.model)
    tokenizer.require_ids_below(read_size(settings.model, "vocab_size"))
    verdict_ids(tokenizer)
    return Served("generate", lambda engine: ThinkPRM(engine, tokenizer, settings.max_thoughts))
