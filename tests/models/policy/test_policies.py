"""Every policy keeps the contract."""

import pytest

from models.interfaces import Policy
from models.policy.engine_policy import EnginePolicy
from tests.models.policy_contract import GrammarContract, PolicyContract, StepRulesContract
from tests.models.speaker import Speaker
from tests.natures import Chance
from tests.worlds import World


class TestVLLMPolicy(StepRulesContract, GrammarContract):
    @pytest.fixture
    def subject(self, policy: EnginePolicy) -> Policy:
        return policy


class TestRemotePolicy(StepRulesContract, GrammarContract):
    @pytest.fixture
    def subject(self, remote_policy: EnginePolicy) -> Policy:
        return remote_policy


class TestSpeaker(StepRulesContract):
    @pytest.fixture
    def subject(self) -> Policy:
        return Speaker()


class TestWorldPolicy(PolicyContract):
    @pytest.fixture
    def subject(self) -> Policy:
        return World(Chance(0)).policy
