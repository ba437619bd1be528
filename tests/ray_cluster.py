"""A cluster of Ray's with one node, on loopback, and winnow on it: started, configured, looked at, ended."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import yaml

from tests.server.processes import free_port

CONFIG = Path(__file__).parents[1] / "deploy" / "ray" / "demo.yaml"
OBJECT_STORE_BYTES = 100_000_000
NUM_CPUS = 8
"""That Ray may give out, however few there are: nothing is to wait for one."""
READY_WITHIN_S = 240.0


def demo_config(port: int, args: Mapping[str, Any] | None = None, **deployments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of `deploy/ray/demo.yaml`, on another port.

    Args:
        port: Of the proxy.
        args: More settings of winnow.
        deployments: Options of deployments, which replace those of the file.
    """
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = port
    application = config["applications"][0]
    application["args"] |= args or {}
    for deployment in application["deployments"]:
        options = deployments.get(deployment["name"], {})
        if "num_replicas" in options:
            deployment.pop("autoscaling_config", None)
        deployment.update(options)
    return config


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as Ray sees it."""

    id: str
    pid: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster.

    Attributes:
        dashboard: URL of what `serve deploy` speaks to.
        url: Of the gateway, once an application is deployed.
        environment: Of commands that speak to the cluster.
    """

    dashboard: str
    url: str
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        """Of the gateway."""
        return int(self.url.rpartition(":")[2])

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Give the cluster a configuration, as an operator does; it takes effect by and by."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(config), file)
            file.flush()
            command = [_script("serve"), "deploy", "--address", self.dashboard, file.name]
            subprocess.run(command, env=dict(self.environment), check=True, capture_output=True, timeout=120)

    def application(self) -> dict[str, Any]:
        """Return what Ray says of the application."""
        headers = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        reply = httpx.get(f"{self.dashboard}/api/serve/applications/", headers=headers, timeout=60)
        details: dict[str, Any] = reply.raise_for_status().json()["applications"]["winnow"]
        return details

    def replicas(self, deployment: str) -> list[Replica]:
        """Return the running replicas of a deployment; none while Ray reads a new configuration."""
        details = self.application()["deployments"].get(deployment, {"replicas": ()})["replicas"]
        return [Replica(each["replica_id"], each["pid"]) for each in details if each["state"] == "RUNNING"]

    def await_running(self) -> None:
        """Return when the application is as its configuration says, and the gateway is ready.

        Raises:
            AssertionError: It failed, or takes too long.
        """
        deadline, told = time.monotonic() + READY_WITHIN_S, "nothing"
        while time.monotonic() < deadline:
            details = self.application()
            told = f"{details['status']}: {details['message']}"
            assert details["status"] != "DEPLOY_FAILED", told
            if details["status"] == "RUNNING" and httpx.get(f"{self.url}/readyz", timeout=60).status_code == 200:
                return
            time.sleep(0.5)
        raise AssertionError(f"the application does not run within {READY_WITHIN_S:g} s: {told}")


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """Run a head node while the context lasts; all of its processes are killed in the end."""
    ports = {name: free_port() for name in ("port", "dashboard-port", "dashboard-agent-listen-port")}
    token = uuid4().hex
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    environment = {**os.environ, **variables}  # noqa: TID251 - of other processes
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # short: sockets lie in it
        command = [_script("ray"), "start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=true"]
        command += [f"--num-cpus={NUM_CPUS}", f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={folder}"]
        command += ["--node-ip-address=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items())]
        with (Path(folder) / "head.log").open("wb") as log:
            head = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        dashboard = f"http://127.0.0.1:{ports['dashboard-port']}"
        try:
            _await_dashboard(head, dashboard, token)
            yield Cluster(dashboard, f"http://127.0.0.1:{free_port()}", environment)
        finally:
            _kill(head)


def _await_dashboard(head: subprocess.Popen[bytes], dashboard: str, token: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and head.poll() is None:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            if httpx.get(f"{dashboard}/api/serve/applications/", headers=headers, timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no dashboard within {READY_WITHIN_S:g} s; exit code {head.poll()}")


def _kill(head: subprocess.Popen[bytes]) -> None:
    """Kill what the head node started, workers and engines among it: to drain a node takes half a minute."""
    below = psutil.Process(head.pid).children(recursive=True) if head.poll() is None else []
    for process in below:
        process.kill()
    head.kill()
    psutil.wait_procs(below, timeout=30)
    head.wait(30)


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
