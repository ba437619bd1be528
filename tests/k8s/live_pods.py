"""The containers of deploy/k8s as processes of this machine, with what the manifests leave them.

bubblewrap takes the place of the container: user 10001, no capability, the root read-only, an empty /tmp, and no
variable but those of the manifests. The models are the demo pair on a CPU. A list of addresses takes the place of the
Service, and this machine's Redis that of the store. `make test-kubernetes` runs it.
"""

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx
import psutil
import pytest

from tests.deploy.k8s import environment, main_container, pods
from tests.server.processes import WINNOW, free_port

ROOT = Path(__file__).parents[2]
BWRAP = shutil.which("bwrap")
REDIS = shutil.which("redis-server")
POD = (
    *("--unshare-user", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL", "--die-with-parent"),
    *("--ro-bind", "/", "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--chdir", str(ROOT)),
)
KEY = "sk-0123456789abcdef"
AS_CLIENT = {"Authorization": f"Bearer {KEY}"}
HERE = {"WINNOW_HOST": "127.0.0.1", "WINNOW_RECIPE": "deploy/recipes/demo.yaml", "WINNOW_DEVICE": "cpu"}
"""In the place of what needs a cluster or a GPU."""
START_WITHIN_S = 120.0
NUM_CLIENTS = 6
PASSWORD = "0123456789abcdef"
SEARCH = {"problem": "Compute 12 * (3 + 45).", "n": 16, "strategy": "best_of_n", "early_stop": False, "include": []}

pytestmark = pytest.mark.skipif(BWRAP is None or REDIS is None, reason="bubblewrap or redis-server is not installed")


@dataclass(frozen=True)
class Pod:
    """A container that runs."""

    url: str
    process: asyncio.subprocess.Process

    async def stop(self) -> int:
        """Send SIGTERM, as the kubelet does; the exit code."""
        (inside,) = psutil.Process(self.process.pid).children()
        inside.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)

    async def until_ready(self, path: str) -> None:
        """Wait until a probe succeeds."""
        async with asyncio.timeout(START_WITHIN_S), httpx.AsyncClient() as client:
            while self.process.returncode is None:
                try:
                    if (await client.get(self.url + path, timeout=5)).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        pytest.fail(f"it ended with {self.process.returncode}")


@asynccontextmanager
async def started(workload: str, folder: Path, more: Mapping[str, str]) -> AsyncIterator[Pod]:
    """A pod of a workload of the overlay `gpu`, ready."""
    container, port = main_container(pods("gpu")[workload]), free_port()
    (folder / "keys.yaml").write_text(f"- {{name: me, key: {KEY}}}\n")
    variables = environment("gpu", container) | HERE | {"WINNOW_PORT": str(port), **more}
    keys = ("--ro-bind", str(folder / "keys.yaml"), "/tmp/keys.yaml")
    arguments = container.get("args", ["serve"])
    with (folder / f"{workload}-{port}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(BWRAP), *POD, *keys, WINNOW, *arguments, env=variables, stdout=log, stderr=log
        )
    pod = Pod(f"http://127.0.0.1:{port}", process)
    try:
        await pod.until_ready(container["readinessProbe"]["httpGet"]["path"])
        yield pod
    finally:
        if process.returncode is None:
            await pod.stop()


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[str]:
    """The variable that names the store to gateways, filled in as Kubernetes does."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    arguments = [each.replace("$(REDISCLI_AUTH)", PASSWORD) for each in main_container(pods("gpu")["store"])["args"]]
    arguments[arguments.index("/data")] = str(data)
    with (folder / "store.log").open("wb") as log:
        command = [str(REDIS), *arguments, "--bind", "127.0.0.1", "--port", str(port)]
        process = await asyncio.create_subprocess_exec(*command, stdout=log)
    try:
        url = environment("gpu", main_container(pods("gpu")["gateway"]))["WINNOW_STORE_URL"]
        yield url.replace("$(STORE_PASSWORD)", PASSWORD).replace("store:6379", f"127.0.0.1:{port}")
    finally:
        process.terminate()
        await process.wait()


async def search_in_background(gateway: Pod) -> str:
    """Search until there is an answer; the id."""
    async with httpx.AsyncClient(base_url=gateway.url, headers=AS_CLIENT) as client:
        id = (await client.post("/solve", json=SEARCH | {"background": True})).json()["id"]
        async with asyncio.timeout(60):
            while (await client.get(f"/solve/{id}")).json()["state"] != "complete":  # noqa: ASYNC110 - no event over HTTP
                await asyncio.sleep(0.2)
    return str(id)


@dataclass
class Service:
    """Clients, and the gateways that they are sent to, one after the other."""

    gateways: list[Pod] = field(default_factory=list)
    replies: Counter[int | str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)

    async def ask_on_and_on(self) -> None:
        """Be a client until cancelled."""
        async with httpx.AsyncClient(headers=AS_CLIENT, timeout=120) as client:
            for number in cycle(range(1000)):
                url = self.gateways[number % len(self.gateways)].url
                self.in_flight[url] += 1
                try:
                    reply = await client.post(f"{url}/solve", json=SEARCH)
                    self.replies[reply.status_code] += 1
                except httpx.TransportError as error:
                    self.replies[type(error).__name__] += 1
                finally:
                    self.in_flight[url] -= 1


async def test_an_update_of_the_gateways_loses_no_request(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:

        async def start(workload: str, **more: str) -> Pod:
            return await stack.enter_async_context(started(workload, tmp_path, more))

        store_url = await stack.enter_async_context(store(tmp_path))
        policy, verifier = await asyncio.gather(start("policy"), start("verifier"))
        urls = {"WINNOW_POLICY_URL": policy.url, "WINNOW_VERIFIER_URL": verifier.url}
        urls |= {"WINNOW_API_KEYS_FILE": "/tmp/keys.yaml", "WINNOW_STORE_URL": store_url}
        service = Service([await start("gateway", **urls), await start("gateway", **urls)])
        found = await search_in_background(service.gateways[0])
        clients = [asyncio.create_task(service.ask_on_and_on()) for _ in range(NUM_CLIENTS)]
        in_flight_at_signal = []
        for old in [*service.gateways]:
            service.gateways.append(await start("gateway", **urls))
            service.gateways.remove(old)  # what the API server does when it deletes a pod; preStop waits until it is so
            in_flight_at_signal.append(service.in_flight[old.url])
            assert await old.stop() == 0
        answered = service.replies.total()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        async with httpx.AsyncClient(headers=AS_CLIENT) as asking:
            states = [(await asking.get(f"{each.url}/solve/{found}")).json()["state"] for each in service.gateways]

    assert states == ["complete", "complete"]
    assert min(in_flight_at_signal) > 0
    assert service.replies == {200: answered}
    assert answered > NUM_CLIENTS
