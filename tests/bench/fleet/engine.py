"""A model of one vLLM engine: continuous batching, prompts read in pieces, a KV cache that is shared and may be full.

Time passes in iterations. In each, every sequence that decodes gets a token, and what is left of the budget of tokens
reads prompts, first come first served. Iterations in which nothing begins or ends are taken in one jump, so that the
work of the simulation goes with requests and not with tokens; an arrival waits for the end of the iteration that runs.
A sequence for whose next token there is no room is preempted, the newest first, and read again later.

Knows token counts; knows no tokens, problems or searches.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from tests.bench.fleet.cache import PrefixCache, Segment
from tests.bench.fleet.machine import Machine


@dataclass(frozen=True, slots=True)
class EngineCosts:
    """How long an iteration takes, and how much an engine holds.

    Attributes:
        base_s, sequence_s: The host's work for an iteration, and for each sequence in it.
        token_s: Computing one token, read or generated.
        weights_s: Reading the weights once.
        attention_s: Attending to one token of the KV cache, where that takes time of its own, as on a CPU.
        kv_s: Reading one token of the KV cache.
        overlaps: Whether the host's work for the next iteration is done meanwhile.
        kv_tokens: That the KV cache has room for.
        block: Tokens of a block; a shared beginning counts in whole blocks.
        max_sequences: That run at a time.
        max_batched_tokens: Of an iteration.
        max_piece: Most tokens of one prompt in an iteration.
    """

    base_s: float
    sequence_s: float
    token_s: float
    attention_s: float = 0.0
    weights_s: float = 0.0
    kv_s: float = 0.0
    overlaps: bool = False
    kv_tokens: int = 1 << 60
    block: int = 16
    max_sequences: int = 1024
    max_batched_tokens: int = 8192
    max_piece: int = 8192

    def iteration_s(self, num_sequences: int, num_tokens: int, num_kv_tokens: float) -> float:
        """Return how long an iteration takes that computes tokens of sequences, and attends to those in the cache."""
        host = self.base_s + self.sequence_s * num_sequences
        computing = self.token_s * num_tokens + self.attention_s * num_kv_tokens
        device = max(computing, self.weights_s + self.kv_s * num_kv_tokens)
        return max(host, device) if self.overlaps else host + device


class EngineLostError(Exception):
    """The engine died while a request was in it.

    Attributes:
        num_generated: Tokens that had come by then.
    """

    def __init__(self, num_generated: int) -> None:
        super().__init__("the engine died")
        self.num_generated = num_generated


@dataclass(eq=False, slots=True)
class Request:
    """A sequence in an engine.

    Attributes:
        segments: What is read.
        name: Of the segment that is generated.
        num_new: Tokens to generate; 0 for a verdict.
        done: Is set to the number of tokens read when all is over.
        num_before: Tokens that it had generated when it was last admitted.
        num_unread: Tokens still to be read before it generates.
        num_read: Tokens read so far, over all times that it was admitted.
        ends_at: The engine's count of iterations at which its last token comes.
    """

    segments: Sequence[Segment]
    name: str
    num_new: int
    done: asyncio.Future[int]
    num_before: int = 0
    num_unread: int = 0
    num_read: int = 0
    ends_at: int = 0
    is_gone: bool = False

    @property
    def num_prompt(self) -> int:
        """Tokens of what is read."""
        return sum(size for _, size in self.segments)


@dataclass(slots=True)
class Counts:
    """What an engine has done.

    Attributes:
        num_generated, num_read, num_cached: Tokens generated, read, and found in the cache.
        num_preempted: Sequences that had to go for want of room.
        num_iterations, num_sequences: Iterations, and the sequences in them, each as often as it was in one.
        num_context: Tokens that those decoding attended to, each as often as it was attended to.
        busy_s: Time in iterations.
    """

    num_generated: int = 0
    num_read: int = 0
    num_cached: int = 0
    num_preempted: int = 0
    num_iterations: int = 0
    num_sequences: int = 0
    num_context: float = 0.0
    busy_s: float = 0.0


class Engine:
    """One engine, in the running event loop's time.

    Attributes:
        num_requests: In it, those included that wait.
        is_up: False from its loss to its return.

    Args:
        costs: Of an iteration.
        machine: That it shares with others; None: it has one of its own.
    """

    def __init__(self, costs: EngineCosts, machine: Machine | None = None) -> None:
        self.counts = Counts()
        self.num_requests = 0
        self.is_up = True
        self._costs = costs
        self._machine = machine or Machine(1)
        self._machine.join(self._interrupt)
        self._loop = asyncio.get_running_loop()
        self._cache = PrefixCache()
        self._waiting: deque[Request] = deque()
        self._reading: dict[Request, int] = {}  # and the tokens that the running iteration reads
        self._decoding: dict[Request, None] = {}  # the newest last
        self._ends: list[tuple[int, int, Request]] = []
        self._number = 0
        self._iteration = 0
        self._num_context = 0  # tokens that those decoding attend to
        self._num_own = 0  # tokens generated that are no segment yet
        self._timer: asyncio.Handle | None = None
        self._started = self._each_s = 0.0
        self._num_jumped = 0

    async def run(
        self,
        segments: Sequence[Segment],
        num_new: int,
        name: str = "",
        spend: Callable[[int], None] = lambda number: None,
    ) -> int:
        """Read a sequence and generate what follows it; cancelling it takes the request out.

        Args:
            segments: What is read, at least a token.
            num_new: Tokens to generate; 0 for a verdict.
            name: Of the segment that is generated.
            spend: Is called with the number of tokens generated, however the request ends.

        Returns:
            Tokens that had to be read, those again after a preemption included.

        Raises:
            EngineLostError: The engine died.
        """
        request = Request(segments, name, num_new, self._loop.create_future())
        if request.num_prompt + num_new > self._costs.kv_tokens:
            raise ValueError(f"a sequence of {request.num_prompt + num_new} tokens does not fit the engine at all")
        self.num_requests += 1
        self._waiting.append(request)
        if self._timer is None:
            self._timer = self._loop.call_soon(self._plan)  # after all that arrive at this instant
        else:
            self._interrupt()
        try:
            num_read = await request.done
            spend(num_new)
            return num_read
        except EngineLostError as error:
            spend(error.num_generated)
            raise
        except asyncio.CancelledError:
            spend(self.generated(request))
            self._remove(request)
            raise
        finally:
            self.num_requests -= 1

    def generated(self, request: Request) -> int:
        """Return how many tokens of a request have come by now."""
        if request not in self._decoding:
            return request.num_before
        return request.num_new - (request.ends_at - self._iteration - self._whole_iterations())

    def lose(self) -> None:
        """Die: requests fail, and what the cache held is gone."""
        lost = [*self._waiting, *self._reading, *self._decoding]
        progress = [self.generated(request) for request in lost]
        self._stop()
        self.is_up = False
        self._waiting.clear()
        self._reading.clear()
        self._decoding.clear()
        self._ends.clear()
        self._cache = PrefixCache()
        self._num_context = self._num_own = 0
        for request, number in zip(lost, progress, strict=True):
            request.is_gone = True
            if not request.done.done():
                request.done.set_exception(EngineLostError(number))

    def _plan(self) -> None:
        """Begin the next iteration, or as many as can be taken in one."""
        self._timer = None
        costs = self._costs
        while self._decoding and self._room < len(self._decoding):
            self._preempt()
        budget = costs.max_batched_tokens - len(self._decoding)
        for request in self._reading:
            self._reading[request] = piece = min(request.num_unread, costs.max_piece, budget)
            budget -= piece
        while self._waiting and budget > 0 and len(self._reading) + len(self._decoding) < costs.max_sequences:
            request = self._waiting[0]
            if request.is_gone:
                self._waiting.popleft()
            elif self._admit(request):
                self._waiting.popleft()
                self._reading[request] = piece = min(request.num_unread, costs.max_piece, budget)
                budget -= piece
            else:
                break
        num_sequences = len(self._reading) + len(self._decoding)
        if not num_sequences:
            self._machine.leave(self._interrupt)
            return
        self._machine.enter(self._interrupt)
        self._num_jumped = 1 if self._reading else self._jump()
        num_tokens = sum(self._reading.values()) + len(self._decoding)
        num_context = self._num_context + self._num_jumped * len(self._decoding) / 2
        self._each_s = costs.iteration_s(num_sequences, num_tokens, num_context) * self._machine.slowdown
        self._started = self._loop.time()
        self._timer = self._loop.call_at(self._started + self._num_jumped * self._each_s, self._end)

    def _jump(self) -> int:
        """Return for how many iterations nothing ends and there is room."""
        while self._ends[0][2].is_gone or self._ends[0][0] != self._ends[0][2].ends_at:
            heappop(self._ends)
        return max(min(self._ends[0][0] - self._iteration, self._room // len(self._decoding)), 1)

    def _end(self) -> None:
        """Give out what the iterations made, and go on."""
        number, num_decoding = self._num_jumped, len(self._decoding)
        self._timer = None
        self._num_jumped = 0
        self._iteration += number
        self._num_context += number * num_decoding
        self._num_own += number * num_decoding
        self.counts.num_generated += number * num_decoding
        self.counts.num_iterations += number
        self.counts.num_context += number * (self._num_context - number * num_decoding / 2)
        self.counts.num_sequences += number * (num_decoding + len(self._reading))
        self.counts.busy_s += number * self._each_s
        self._make_room(0)
        while self._ends and self._ends[0][0] <= self._iteration:
            ends_at, _, request = heappop(self._ends)
            if not request.is_gone and request.ends_at == ends_at and request in self._decoding:
                self._finish(request)
        for request, piece in [*self._reading.items()]:
            request.num_unread -= piece
            request.num_read += piece
            self.counts.num_read += piece
            if not request.num_unread:
                del self._reading[request]
                self._begin(request)
        self._plan()

    def _begin(self, request: Request) -> None:
        """Go on with a request that is read: its first token came with it."""
        if request.num_new == 0:
            self._cache.release(request.segments)
            self._settle(request)
            return
        self._decoding[request] = None
        self._num_own += 1
        self.counts.num_generated += 1
        self._num_context += request.num_prompt + request.num_before + 1
        request.ends_at = self._iteration + request.num_new - request.num_before - 1
        if request.ends_at == self._iteration:
            self._finish(request)
        else:
            self._number += 1
            heappush(self._ends, (request.ends_at, self._number, request))

    def _finish(self, request: Request) -> None:
        """What was generated stays as a segment of its own, which the next request may begin with."""
        self._drop(request)
        self._num_own -= request.num_new
        segment = [(request.name, request.num_new)]
        self._cache.take(segment)
        self._cache.release([*request.segments, *segment])
        self._settle(request)

    def _settle(self, request: Request) -> None:
        if not request.done.done():
            request.done.set_result(request.num_read)

    def _drop(self, request: Request) -> None:
        """Take a request out of those that decode."""
        num_generated = request.num_new - (request.ends_at - self._iteration)
        del self._decoding[request]
        self._num_context -= request.num_prompt + num_generated

    def _admit(self, request: Request) -> bool:
        """Make room for a request, or say that there is none."""
        segments, num_own = request.segments, request.num_before
        if self._cache.missing(segments) + num_own + 1 > self._room - self._cache.idle(segments):
            return False
        held = min(self._cache.held(segments), request.num_prompt + num_own - 1) // self._costs.block
        request.num_unread = request.num_prompt + num_own - held * self._costs.block
        self.counts.num_cached += held * self._costs.block
        self._cache.take(segments)
        self._num_own += num_own
        self._make_room(0)
        return True

    @property
    def _room(self) -> int:
        """Tokens for which there is room, or may be."""
        return self._costs.kv_tokens - self._num_own - self._cache.num_tokens + self._cache.num_idle_tokens

    def _make_room(self, number: int) -> None:
        self._cache.evict(number + self._num_own + self._cache.num_tokens - self._costs.kv_tokens)

    def _preempt(self) -> None:
        """Take the newest sequence out; it is read again when there is room."""
        request = next(reversed(self._decoding))
        num_generated = request.num_new - (request.ends_at - self._iteration)
        self._drop(request)
        self._num_own -= num_generated
        self._cache.release(request.segments)
        request.num_before = num_generated
        request.ends_at = -1  # its place in the heap counts no more
        self._waiting.appendleft(request)
        self.counts.num_preempted += 1

    def _remove(self, request: Request) -> None:
        """Take out a request for which nobody waits."""
        if request.is_gone:
            return
        if request in self._decoding:
            self._interrupt()
            num_generated = request.num_new - (request.ends_at - self._iteration)
            self._drop(request)
            self._num_own -= num_generated
            self._cache.release(request.segments)
        elif request in self._reading:
            del self._reading[request]
            self._num_own -= request.num_before
            self._cache.release(request.segments)
        request.is_gone = True

    def _interrupt(self) -> None:
        """End a jump with the iteration that runs, since something has changed."""
        if self._num_jumped > 1 and self._timer is not None:
            whole = min(max(math.ceil((self._loop.time() - self._started) / self._each_s - 1e-9), 1), self._num_jumped)
            if whole < self._num_jumped:
                self._timer.cancel()
                self._num_jumped = whole
                self._timer = self._loop.call_at(self._started + whole * self._each_s, self._end)

    def _whole_iterations(self) -> int:
        """Iterations of the jump that have ended by now."""
        if not self._num_jumped or self._each_s == 0:
            return 0
        return min(int((self._loop.time() - self._started) / self._each_s + 1e-9), self._num_jumped)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._num_jumped = 0
        self._machine.leave(self._interrupt)
