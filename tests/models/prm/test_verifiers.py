"""Every verifier keeps the contract."""

import pytest

from models.engine import Engine
from models.interfaces import Step, Verifier
from models.prm.rlhflow import RLHFlowPRM
from models.prm.vllm_verifier import VLLMVerifier
from models.prompt import PromptBuilder
from models.tokenizer import ChatTokenizer
from tests.models.verifier_contract import VerifierContract, steps_of
from tests.natures import Chance
from tests.worlds import World


class TestVLLMVerifier(VerifierContract):
    @pytest.fixture
    def subject(self, verifier: VLLMVerifier) -> Verifier:
        return verifier

    @pytest.fixture
    def steps(self, prompts: PromptBuilder) -> list[Step]:
        return steps_of(prompts.tokenizer.encode)


class TestRLHFlowPRM(VerifierContract):
    @pytest.fixture
    def subject(self, tiny_engine: Engine, tiny_tokenizer: ChatTokenizer) -> Verifier:
        return RLHFlowPRM(tiny_engine, tiny_tokenizer)

    @pytest.fixture
    def steps(self, tiny_tokenizer: ChatTokenizer) -> list[Step]:
        return steps_of(tiny_tokenizer.encode)


class TestWorldVerifier(VerifierContract):
    @pytest.fixture
    def subject(self) -> Verifier:
        return World(Chance(0)).verifier

    @pytest.fixture
    def steps(self) -> list[Step]:
        return steps_of(lambda text: tuple(text.encode()))
