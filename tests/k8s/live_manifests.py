"""deploy/k8s against the schemas of Kubernetes and of the operators, checkov, and vLLM's router.

The router is the real one. It asks a stand-in of the API server which pods there are, and sends requests to stand-ins
of engines. `make test-kubernetes` runs it.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web

from tests.deploy.k8s import COMPONENT, OVERLAYS, labels_of, main_container, objects, pods, rendered
from tests.server.processes import free_port
from tests.waiting import until

HERE = Path(__file__).parent
BIN = HERE / ".venv" / "bin"
RELEASES = ("1.30", "1.37")
"""The first that knows every field without a feature gate, and the latest that the schemas are there for."""
OPERATORS = ("keda.sh", "monitoring.coreos.com")
LABELS = labels_of(pods("fleet")["policy"])
ENGINES = [f"127.0.0.{number}" for number in range(2, 6)]
"""Addresses of the pods policy-0 to policy-3."""

SESSIONS = [str(number) for number in range(12)]

Object = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def run(program: str, *arguments: str | Path, stdin: str = "") -> str:
    """What a program of the environment of this folder says; it must succeed."""
    command = [str(BIN / program), *map(str, arguments)]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@each_overlay
@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_field(overlay: str, release: str, tmp_path: Path) -> None:
    own = [each for each in objects(overlay) if not each["apiVersion"].startswith(OPERATORS)]
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(own))
    told = run("kubernetes-validate", "--strict", "-k", release, tmp_path / "objects.yaml")
    assert told.count(" passed ") == len(own)


@each_overlay
def test_the_operators_know_every_field(overlay: str) -> None:
    theirs = [each for each in objects(overlay) if each["apiVersion"].startswith(OPERATORS)]
    told = run("python", HERE / "python" / "operators.py", stdin=rendered(overlay))
    assert int(told) == len(theirs) == (6 if overlay == "fleet" else 0)


@each_overlay
def test_the_linter_asks_for_nothing_that_is_not_answered(overlay: str, tmp_path: Path) -> None:
    (tmp_path / "objects.yaml").write_text(rendered(overlay))
    told = run(
        "checkov", "--framework", "kubernetes", "--file", tmp_path / "objects.yaml", "-o", "json", "--skip-download"
    )
    report = json.loads(told)
    skipped = {
        (check["check_id"], bool(check["check_result"]["suppress_comment"]))
        for check in report["results"]["skipped_checks"]
    }
    assert report["summary"]["failed"] == 0
    assert report["summary"]["passed"] >= 90
    with_store = {("CKV_K8S_35", True)} if "store" in pods(overlay) else set()
    assert skipped == {("CKV_K8S_15", True), ("CKV_K8S_43", True)} | with_store


@dataclass
class Cluster:
    """A stand-in of the API server, for the pods of one namespace, and of the engines in them."""

    pods: dict[str, Object] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    watchers: list[asyncio.Queue[Object]] = field(default_factory=list)
    version: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List the pods, or tell what happens to them until the client goes."""
        self.asked.add(f"{request.method} {request.path}")
        if "watch" not in request.query:
            version = {"resourceVersion": str(self.version)}
            pods = [*self.pods.values()]
            return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": version, "items": pods})
        events: asyncio.Queue[Object] = asyncio.Queue()
        self.watchers.append(events)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(json.dumps(await events.get()).encode() + b"\n")

    async def see(self, name: str, address: str, component: str, *, is_ready: bool = True, ends: bool = False) -> None:
        """Say that a pod is there, or that it has changed."""
        self.version += 1
        metadata: Object = {"name": name, "namespace": "winnow", "uid": name, "resourceVersion": str(self.version)}
        metadata["labels"] = LABELS | {COMPONENT: component}
        if ends:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        conditions = [{"type": "Ready", "status": str(is_ready)}]
        status = {"phase": "Running", "podIP": address, "conditions": conditions}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": status}
        kind = "MODIFIED" if name in self.pods else "ADDED"
        self.pods[name] = pod
        for watcher in self.watchers:
            watcher.put_nowait({"type": kind, "object": pod})


@dataclass(frozen=True)
class Router:
    """The router of the policies, with the arguments of its Deployment."""

    cluster: Cluster
    client: httpx.AsyncClient

    async def spread(self) -> dict[str, str]:
        """Which engine gets a session."""
        replies = {session: await self._ask(session) for session in SESSIONS}
        return {session: reply.text if reply.status_code == 200 else "none" for session, reply in replies.items()}

    async def _ask(self, session: str) -> httpx.Response:
        return await self.client.post("/v1/winnow/scores", json={}, headers={"x-session-id": session})

    async def until_asked(self, *engines: str) -> dict[str, str]:
        """Wait until the sessions go to these engines; which goes where."""
        spread: dict[str, str] = {}
        async with asyncio.timeout(20):
            while {*spread.values()} != {*engines}:
                await asyncio.sleep(0.2)
                spread = await self.spread()
        return spread


@asynccontextmanager
async def serving(answer: Handler, port: int, *hosts: str) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True)  # a watch ends with its client
    await runner.setup()
    for host in hosts:
        await web.TCPSite(runner, host, port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def answer_as_engine(request: web.Request) -> web.Response:
    """Say who it is."""
    host = request.transport.get_extra_info("sockname")[0] if request.transport else ""
    if request.path == "/v1/models":
        return web.json_response({"object": "list", "data": [{"id": "model", "object": "model"}]})
    return web.Response(text=host)


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[Router]:
    cluster, api, engines, port = Cluster(), free_port(), free_port(), free_port()
    given = {"$(NAMESPACE)": "winnow", "$(FLEET)": "policy", "0.0.0.0": "127.0.0.1"}
    given |= {"--port=8000": f"--port={port}", "discovery-port=8000": f"discovery-port={engines}"}
    arguments: list[str] = main_container(pods("fleet")["policy-router"])["args"]
    for old, new in given.items():
        arguments = [argument.replace(old, new) for argument in arguments]
    (tmp_path / "config").write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "router"}}],
                "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{api}"}}],
                "users": [{"name": "router", "user": {"token": "none"}}],
            }
        )
    )
    async with serving(cluster.answer, api, "127.0.0.1"), serving(answer_as_engine, engines, *ENGINES):
        process = await asyncio.create_subprocess_exec(
            BIN / "vllm-router",
            *arguments,
            f"--prometheus-port={free_port()}",
            env={"KUBECONFIG": str(tmp_path / "config")},
            stdout=sys.stderr,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                await until(lambda: bool(cluster.watchers), within_s=30)
                yield Router(cluster, client)
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 30)


async def test_a_router_lives_without_an_engine_and_is_ready_with_one(router: Router) -> None:
    probes = main_container(pods("fleet")["policy-router"])
    lives, is_ready = (probes[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness"))

    assert (await router.client.get(lives)).status_code == 200
    assert (await router.client.get(is_ready)).status_code == 503
    await router.cluster.see("policy-0", "127.0.0.2", "policy")
    await router.until_asked("127.0.0.2")
    assert (await router.client.get(is_ready)).status_code == 200


async def test_a_router_takes_the_ready_engines_of_its_own_fleet(router: Router) -> None:
    await router.cluster.see("policy-0", "127.0.0.2", "policy")
    await router.cluster.see("policy-1", "127.0.0.3", "policy", is_ready=False)
    await router.cluster.see("verifier-0", "127.0.0.4", "verifier")
    await router.until_asked("127.0.0.2")
    await router.cluster.see("policy-1", "127.0.0.3", "policy")
    await router.until_asked("127.0.0.2", "127.0.0.3")


async def test_an_engine_that_comes_or_goes_moves_its_own_sessions_alone(router: Router) -> None:
    first, *others = ENGINES
    for number, address in enumerate(ENGINES):
        await router.cluster.see(f"policy-{number}", address, "policy")
    before = await router.until_asked(*ENGINES)
    await router.cluster.see("policy-0", first, "policy", ends=True)
    after = await router.until_asked(*others)

    assert {before[session] for session in SESSIONS if before[session] != after[session]} == {first}
    assert await router.spread() == after


async def test_a_router_asks_for_no_more_than_its_role_allows(router: Router) -> None:
    await router.cluster.see("policy-0", "127.0.0.2", "policy")
    await router.until_asked("127.0.0.2")
    assert router.cluster.asked == {"GET /api/v1/namespaces/winnow/pods"}
