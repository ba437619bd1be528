"""deploy/k8s as kustomize renders it: what is in an overlay, and which pods may talk to which."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "deploy" / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
KUBECTL = shutil.which("kubectl")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
COMPONENT = "app.kubernetes.io/component"

Object = dict[str, Any]

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: it renders deploy/k8s")


@cache
def rendered(overlay: str) -> str:
    """What `kubectl apply -k` would send."""
    command = [str(KUBECTL), "kustomize", str(K8S / "overlays" / overlay)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@cache
def objects(overlay: str) -> Sequence[Object]:
    """The objects of an overlay."""
    return tuple(yaml.safe_load_all(rendered(overlay)))


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [each for each in objects(overlay) if each["kind"] in kinds]


def names(overlay: str, *kinds: str) -> set[str]:
    """The names of the objects of these kinds."""
    return {each["metadata"]["name"] for each in of_kind(overlay, *kinds)}


def named(overlay: str, kind: str, name: str) -> Object:
    """One object."""
    (found,) = [each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name]
    return found


def pods(overlay: str) -> dict[str, Object]:
    """The pod template of each workload, by the workload's name."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(overlay, *WORKLOADS)}


def containers(pod: Object) -> list[Object]:
    """The containers of a pod, those that run first among them."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def main_container(pod: Object) -> Object:
    """The container that stays."""
    (found,) = pod["spec"]["containers"]
    return dict(found)


def environment(overlay: str, container: Object) -> dict[str, str]:
    """The variables that a container gets, as far as they stand in the manifests."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= named(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables | {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes an object with these labels; an empty one takes all."""
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] == "In" for each in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def labels_of(pod: Object) -> dict[str, str]:
    """Labels of a pod."""
    return dict(pod["metadata"]["labels"])


def connections(overlay: str, direction: str) -> set[tuple[str, str]]:
    """Which pods may ask which others, by the policies of those that ask (egress) or of the others (ingress)."""
    labels = {name: labels_of(pod) for name, pod in pods(overlay).items()}
    subject = {"egress": 0, "ingress": 1}[direction]
    return {
        pair
        for pair in product(labels, labels)
        if _allowed(overlay, direction, labels[pair[subject]], labels[pair[1 - subject]])
    }


def _allowed(overlay: str, direction: str, subject: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether a pod may send to, or be sent from, another one; a pod that no policy selects may do all."""
    side = {"egress": "to", "ingress": "from"}[direction]
    policies = [
        policy["spec"]
        for policy in of_kind(overlay, "NetworkPolicy")
        if direction.capitalize() in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], subject)
    ]
    rules = [rule for policy in policies for rule in policy.get(direction, ()) if _serves(rule)]
    peers = [peer for rule in rules for peer in rule.get(side, [{"podSelector": {}}])]
    return not policies or any(
        "namespaceSelector" not in peer and "podSelector" in peer and selects(peer["podSelector"], other)
        for peer in peers
    )


def _serves(rule: Object) -> bool:
    return "ports" not in rule or any(port.get("port") in ("http", 8000, "store") for port in rule["ports"])


def queries(overlay: str) -> Iterator[tuple[str, str]]:
    """What each autoscaler asks Prometheus, by its name."""
    for scaled in of_kind(overlay, "ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            yield scaled["metadata"]["name"], trigger["metadata"]["query"]


def metrics_in(query: str) -> set[str]:
    """The names of metrics in a query."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", query)
    return {word for word in re.findall(r"[a-zA-Z_:]+", without_labels) if "_" in word}
