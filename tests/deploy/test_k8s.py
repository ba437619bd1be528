"""deploy/k8s: that it renders, that its parts fit each other, and that winnow understands what it is told.

`make test-kubernetes` compares it with the schemas of Kubernetes and of the operators, lints it, and runs its pods.
"""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus_client import generate_latest

from models.remote.metrics import ReplicaMetrics
from models.remote.replicas import Replicas
from models.remote.settings import RemoteSettings
from server.cli.main import app
from server.http.access import OPEN
from server.settings import PREFIX, Settings, load_settings
from server.solving.admission import Admission
from server.solving.metrics import Metrics
from tests.deploy.k8s import (
    COMPONENT,
    OVERLAYS,
    Object,
    connections,
    containers,
    environment,
    labels_of,
    main_container,
    metrics_in,
    named,
    names,
    needs_kubectl,
    objects,
    of_kind,
    pods,
    queries,
    rendered,
    selects,
)
from tests.deploy.prometheus_rule import OBJECT, rule
from tests.routers import documented_flags

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
KEYS = {"keys.yaml", "metrics-key", "hf-token", "store-password"}
"""Of the Secret that deploy/k8s/README.md makes."""
REDIS = yaml.safe_load((ROOT / "deploy" / "compose.gateways.yaml").read_text())["services"]["store"]["image"]
HEALTH_OF_A_ROUTER = {"/liveness", "/readiness"}
HEALTH_OF_VLLM = {"/health"}
ASK = {
    "demo": set(),
    "gpu": {("gateway", "policy"), ("gateway", "verifier"), ("gateway", "store")},
    "fleet": {
        ("gateway", "store"),
        *((("gateway", router)) for router in ("policy-router", "verifier-router")),
        *((router, fleet) for router in ("policy-router", "verifier-router") for fleet in ("policy", "verifier")),
    },
}
"""Who may ask whom."""

pytestmark = needs_kubectl
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def settings_of(overlay: str, workload: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings with which the container of a workload starts, read as it reads them."""
    container = main_container(pods(overlay)[workload])
    of_image = re.findall(rf"^ +({PREFIX}\w+)=(\S+)", DOCKERFILE, re.MULTILINE)
    for name, value in (*of_image, *environment(overlay, container).items()):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)  # the image's working directory has the recipes at the same place
    return load_settings()


def is_ours(container: Object) -> bool:
    """Whether winnow runs in it."""
    return container["image"] in ("winnow:gateway", "winnow:cpu", "winnow:cuda")


@each_overlay
def test_winnow_starts_with_what_its_containers_are_given(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for workload, pod in pods(overlay).items():
        container = main_container(pod)
        if not is_ours(container):
            continue
        with monkeypatch.context() as patch:
            settings = settings_of(overlay, workload, patch)
        name = container["args"][0] if "args" in container else "serve"
        assert name in app.commands
        assert settings.port == 8000
        if name == "engine":
            assert container["args"] == ["engine", workload]
            assert settings.has_verifier
            assert not settings.asks_policy


@each_overlay
def test_a_gateway_reads_the_keys_that_are_mounted(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = pods(overlay)["gateway"]
    keys = Path(settings_of(overlay, "gateway", monkeypatch).api_keys_file or "")
    (mount,) = [each for each in main_container(pod)["volumeMounts"] if each["name"] == "keys"]
    (volume,) = [each["secret"] for each in pod["spec"]["volumes"] if each["name"] == "keys"]

    assert [Path(mount["mountPath"]) / item["path"] for item in volume["items"]] == [keys]
    assert "WINNOW_ALLOW_PUBLIC_WITHOUT_KEYS" not in rendered(overlay)


@each_overlay
def test_every_object_that_is_named_is_there(overlay: str) -> None:
    for pod in pods(overlay).values():
        spec = pod["spec"]
        assert spec["priorityClassName"] in names(overlay, "PriorityClass") if "priorityClassName" in spec else True
        assert spec.get("serviceAccountName", "default") in {"default", *names(overlay, "ServiceAccount")}
        for volume in spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in names(overlay, "PersistentVolumeClaim")
            if secret := volume.get("secret"):
                assert secret["secretName"] == "winnow"
                assert {item["key"] for item in secret["items"]} <= KEYS
        variables = [variable for container in containers(pod) for variable in container.get("env", ())]
        keys = [each["valueFrom"]["secretKeyRef"] for each in variables if "secretKeyRef" in each.get("valueFrom", {})]
        assert {(key["name"], key["key"]) for key in keys} <= {("winnow", key) for key in KEYS}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
    for scaled in of_kind(overlay, "ScaledObject"):
        target = scaled["spec"]["scaleTargetRef"]
        assert target["name"] in names(overlay, target["kind"])
    for binding in of_kind(overlay, "RoleBinding"):
        assert {subject["name"] for subject in binding["subjects"]} <= names(overlay, "ServiceAccount")
        assert binding["roleRef"]["name"] in names(overlay, "Role")


@each_overlay
def test_every_selector_selects_something(overlay: str) -> None:
    labels = [labels_of(pod) for pod in pods(overlay).values()]
    selectors = [{"matchLabels": each["spec"]["selector"]} for each in of_kind(overlay, "Service")]
    selectors += [each["spec"]["selector"] for each in of_kind(overlay, "PodDisruptionBudget")]
    for policy in of_kind(overlay, "NetworkPolicy"):
        rules = [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]
        peers = [peer for rule in rules for peer in (*rule.get("from", ()), *rule.get("to", ()))]
        selectors += [policy["spec"]["podSelector"]]
        selectors += [
            peer["podSelector"] for peer in peers if "namespaceSelector" not in peer and "podSelector" in peer
        ]
    assert [selector for selector in selectors if not any(selects(selector, each) for each in labels)] == []
    services = [each["metadata"]["labels"] for each in of_kind(overlay, "Service")]
    monitors = [each["spec"]["selector"] for each in of_kind(overlay, "ServiceMonitor")]
    assert [selector for selector in monitors if not any(selects(selector, each) for each in services)] == []


@each_overlay
def test_a_workload_selects_its_own_pods_and_no_others(overlay: str) -> None:
    for workload in of_kind(overlay, "Deployment", "StatefulSet"):
        name, spec = workload["metadata"]["name"], workload["spec"]
        assert {other for other, pod in pods(overlay).items() if selects(spec["selector"], labels_of(pod))} == {name}
        for spread in spec["template"]["spec"].get("topologySpreadConstraints", ()):
            assert selects(spread["labelSelector"], labels_of(spec["template"]))


@each_overlay
def test_every_workload_that_serves_has_a_disruption_budget_and_priority(overlay: str) -> None:
    for name in names(overlay, "Deployment", "StatefulSet"):
        budgets = [each["spec"] for each in of_kind(overlay, "PodDisruptionBudget")]
        (budget,) = [each for each in budgets if selects(each["selector"], labels_of(pods(overlay)[name]))]
        assert budget["maxUnavailable"] == 1  # one of one may go, too: a node must not wait for ever
        assert pods(overlay)[name]["spec"]["priorityClassName"].startswith("winnow-")


@each_overlay
def test_images_are_targets_of_the_dockerfile(overlay: str) -> None:
    targets = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    for pod in pods(overlay).values():
        for container in containers(pod):
            name, _, target = container["image"].partition(":")
            assert (name == "winnow" and target in targets) or container["image"] == REDIS


@each_overlay
def test_probes_ask_addresses_that_need_no_key_at_a_port_that_is_there(overlay: str) -> None:
    documented = json.loads((ROOT / "server" / "openapi.json").read_text())["paths"].keys()
    assert documented >= OPEN
    for name in names(overlay, "Deployment", "StatefulSet") - {"store"}:
        container = main_container(pods(overlay)[name])
        known = {"gateway": OPEN, "policy": HEALTH_OF_VLLM, "verifier": HEALTH_OF_VLLM}.get(name, HEALTH_OF_A_ROUTER)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": 8000}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"] in known
            assert container[probe]["httpGet"]["port"] in ports
    for service in of_kind(overlay, "Service"):
        served = (6379, "store") if service["metadata"]["name"] == "store" else (8000, "http")
        assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [served]
        assert service["spec"]["selector"][COMPONENT] in names(overlay, "Deployment", "StatefulSet")


@each_overlay
def test_a_gateway_is_given_up_after_its_engines_and_not_before(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    container, patience = main_container(pods(overlay)["gateway"]), RemoteSettings(ROOT, "policy", ()).patience
    startup, readiness = container["startupProbe"], container["readinessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > patience.start_s
    assert readiness["periodSeconds"] * readiness["failureThreshold"] >= patience.return_s


@each_overlay
def test_what_a_gateway_has_accepted_ends_before_its_pod_does(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pod, settings = pods(overlay)["gateway"], settings_of(overlay, "gateway", monkeypatch)
    pause_s = main_container(pod)["lifecycle"]["preStop"]["sleep"]["seconds"]
    strategy = named(overlay, "Deployment", "gateway")["spec"]["strategy"]["rollingUpdate"]

    assert settings.max_deadline_s < settings.drain_s
    assert pause_s >= 10
    assert pod["spec"]["terminationGracePeriodSeconds"] >= pause_s + settings.drain_s + 10
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


@each_overlay
def test_no_pod_may_do_more_than_it_has_to(overlay: str) -> None:
    for pod in pods(overlay).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001 == spec["securityContext"]["fsGroup"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


@each_overlay
def test_a_service_becomes_no_setting_of_winnow(overlay: str) -> None:
    """WINNOW_PORT=tcp://... of a Service called winnow would stop every start."""
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods(overlay).values())


@each_overlay
def test_what_is_written_has_a_place(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        container, volumes = main_container(pod), {each["name"]: each for each in pod["spec"]["volumes"]}
        writable = {
            mount["mountPath"]
            for mount in container["volumeMounts"]
            if "emptyDir" in volumes[mount["name"]]
            or ("persistentVolumeClaim" in volumes[mount["name"]] and not mount.get("readOnly"))
        }
        variables = environment(overlay, container)
        assert variables["HOME"] in writable
        assert ("/weights" in writable) == (name == "weights")
        assert variables.get("HF_HUB_OFFLINE") != "0" or variables["HF_HOME"] in writable


@pytest.mark.parametrize("overlay", ["gpu", "fleet"])
def test_the_job_leaves_the_mark_that_the_others_wait_for(overlay: str) -> None:
    mark = '"/weights/have-$(basename "$WINNOW_RECIPE")"'
    assert main_container(pods(overlay)["weights"])["command"][2] == f"winnow fetch && touch {mark}"
    for name in ("gateway", "policy", "verifier"):
        (waiting,) = pods(overlay)[name]["spec"]["initContainers"]
        assert mark in waiting["command"][2]
        assert (
            environment(overlay, waiting)["WINNOW_RECIPE"]
            == environment(overlay, main_container(pods(overlay)["weights"]))["WINNOW_RECIPE"]
        )


def test_at_fixed_addresses_there_is_one_for_every_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("gpu", "gateway", monkeypatch)
    for which in ("policy", "verifier"):
        spec = named("gpu", "StatefulSet", which)["spec"]
        service = named("gpu", "Service", spec["serviceName"])["spec"]
        hosts = [f"{which}-{number}.{spec['serviceName']}" for number in range(spec["replicas"])]
        assert [urlsplit(str(url)).netloc for url in getattr(settings, f"{which}_url")] == [f"{h}:8000" for h in hosts]
        assert service["clusterIP"] == "None"


def test_in_a_fleet_the_gateways_ask_routers_that_look_for_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("fleet", "gateway", monkeypatch)
    for which in ("policy", "verifier"):
        (url,) = getattr(settings, f"{which}_url")
        router = main_container(pods("fleet")[str(url.host)])
        assert (url.host, url.port) == (f"{which}-router", 8000)
        assert f"--selector={COMPONENT}=$(FLEET)" in router["args"]
        assert environment("fleet", router)["FLEET"] == labels_of(pods("fleet")[which])[COMPONENT]
        assert {flag for flag in documented_flags() if "worker-startup" not in flag} <= {*router["args"]}


@pytest.mark.parametrize("overlay", ["gpu", "fleet"])
def test_gateways_keep_searches_in_the_background_in_the_store(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(overlay, "gateway", monkeypatch)
    store = main_container(pods(overlay)["store"])
    flags = dict(zip(store["args"][::2], store["args"][1::2], strict=True))
    assert settings.store_url is not None
    url = urlsplit(settings.store_url.get_secret_value())
    (port,) = named(overlay, "Service", str(url.hostname))["spec"]["ports"]

    assert (url.port, url.password) == (port["port"], "$(STORE_PASSWORD)")
    assert {each["name"]: each["containerPort"] for each in store["ports"]}[port["targetPort"]] == 6379
    assert flags["--requirepass"] == "$(REDISCLI_AUTH)"
    assert flags["--maxmemory-policy"] == "noeviction"
    assert int(flags["--maxmemory"].removesuffix("gb")) << 30 >= 4 * settings.max_background_bytes
    assert {mount["mountPath"] for mount in store["volumeMounts"]} == {"/tmp", flags["--dir"]}
    variables = [each["name"] for each in main_container(pods(overlay)["gateway"])["env"]]
    assert variables.index("STORE_PASSWORD") < variables.index("WINNOW_STORE_URL")  # else it is not filled in


@each_overlay
def test_a_client_stays_with_one_gateway_only_where_gateways_have_no_store(overlay: str) -> None:
    is_sticky = "sessionAffinity" in named(overlay, "Service", "gateway")["spec"]
    assert is_sticky != ("store" in names(overlay, "Deployment"))


@each_overlay
@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_engines_are_reached_by_those_alone_who_ask_them(overlay: str, direction: str) -> None:
    assert connections(overlay, direction) == ASK[overlay]


@pytest.mark.parametrize("overlay", ["gpu", "fleet"])
def test_the_pod_that_downloads_is_the_only_one_that_reaches_the_internet(overlay: str) -> None:
    outward = {
        policy["metadata"]["name"]
        for policy in of_kind(overlay, "NetworkPolicy")
        for allowed in policy["spec"].get("egress", ())
        if any("ipBlock" in peer for peer in allowed.get("to", ()))
    }
    (name,) = outward
    selector = named(overlay, "NetworkPolicy", name)["spec"]["podSelector"]
    assert [pod for pod, template in pods(overlay).items() if selects(selector, labels_of(template))] == ["weights"]


async def test_autoscalers_ask_for_metrics_that_a_gateway_has() -> None:
    registry = Metrics((), Admission(1, 1)).registry
    registry.register(ReplicaMetrics("verifier", Replicas(RemoteSettings(ROOT, "verifier", ()))))
    shown = {*re.findall(r"^# TYPE (\S+)", generate_latest(registry).decode(), re.MULTILINE)}
    job = named("fleet", "Service", "gateway")["metadata"]["labels"][
        named("fleet", "ServiceMonitor", "gateway")["spec"]["jobLabel"]
    ]
    asked = dict(queries("fleet"))

    assert asked.keys() == {"gateway", "policy", "verifier"}
    for query in asked.values():
        assert metrics_in(query)
        assert metrics_in(query) <= shown
        assert f'job="{job}"' in query
        assert 'namespace="winnow"' in query


def test_the_fewest_gateways_let_in_what_the_most_policies_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise searches would queue in the gateways while the fleet stays small."""
    policy, gateway = (named("fleet", "ScaledObject", name)["spec"] for name in ("policy", "gateway"))
    most = int(policy["triggers"][0]["metadata"]["threshold"]) * policy["maxReplicaCount"]
    capacity = settings_of("fleet", "gateway", monkeypatch).max_cost_in_flight
    assert capacity * gateway["minReplicaCount"] >= most


def test_an_apply_leaves_the_number_of_replicas_to_the_autoscaler() -> None:
    for scaled in of_kind("fleet", "ScaledObject"):
        target = scaled["spec"]["scaleTargetRef"]
        assert "replicas" not in named("fleet", target["kind"], target["name"])["spec"]
        assert scaled["spec"]["minReplicaCount"] >= 2  # so that an update leaves one


def test_the_operator_s_rules_are_those_of_prometheus() -> None:
    assert OBJECT.read_text() == rule(), "python -m tests.deploy.prometheus_rule writes it anew"


def test_alerts_find_their_job_and_engines_have_the_names_of_their_models() -> None:
    rules = named("fleet", "PrometheusRule", "winnow")["spec"]
    job = named("fleet", "Service", "gateway")["metadata"]["labels"]["app.kubernetes.io/name"]
    (engines,) = named("fleet", "ServiceMonitor", "engines")["spec"]["endpoints"]

    assert f'up{{job="{job}"}}' in json.dumps(rules).replace('\\"', '"')
    assert {each["targetLabel"]: each.get("replacement") for each in engines["relabelings"]}["job"] != job
    assert "model_name" in {each["targetLabel"] for each in engines["relabelings"]}


def test_prometheus_shows_a_gateway_its_key() -> None:
    (endpoint,) = named("fleet", "ServiceMonitor", "gateway")["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"]["name"] == "winnow"
    assert endpoint["authorization"]["credentials"]["key"] in KEYS


@each_overlay
def test_everything_is_in_the_namespace_that_admits_restricted_pods_alone(overlay: str) -> None:
    cluster_wide = ("Namespace", "PriorityClass")
    assert {each["metadata"].get("namespace") for each in objects(overlay) if each["kind"] not in cluster_wide} == {
        "winnow"
    }
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
