"""Every verifier keeps the contract; those of published formats in their own files, by `format_contract.py`."""

from collections.abc import Iterator

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.interfaces import Step, Verifier
from models.prm.winnow import WinnowPRM
from models.remote.engine import SCORES, RemoteEngine
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.verifier_contract import VerifierContract, steps_of
from tests.natures import Chance
from tests.worlds import World


class TestVLLMVerifier(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, verifier: WinnowPRM) -> Verifier:
        return verifier

    @pytest.fixture
    def steps(self, prompts: PromptBuilder) -> list[Step]:
        return steps_of(prompts.tokenizer.encode)


class TestRemoteVerifier(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, remote_verifier: WinnowPRM) -> Verifier:
        return remote_verifier

    @pytest.fixture
    def steps(self, prompts: PromptBuilder) -> list[Step]:
        return steps_of(prompts.tokenizer.encode)


class TestRemoteVerifierOfAServerWithoutOurEndpoint(TestRemoteVerifier):
    @pytest.fixture
    def subject(self, remote_verifier: WinnowPRM) -> Iterator[Verifier]:
        engine = remote_verifier.engine
        assert isinstance(engine, RemoteEngine)
        for replica in engine.replicas.all:
            replica.lacks.add(SCORES)
        yield remote_verifier
        for replica in engine.replicas.all:
            replica.lacks.clear()


class TestWorldVerifier(VerifierContract):
    @pytest.fixture
    def subject(self) -> Verifier:
        return World(Chance(0)).verifier

    @pytest.fixture
    def steps(self) -> list[Step]:
        return steps_of(lambda text: tuple(text.encode()))
