"""The rules of deploy/monitoring/rules.yml for the Prometheus operator, which kustomize cannot make of them.

python -m tests.deploy.prometheus_rule      writes it anew
"""

from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "monitoring" / "rules.yml"
OBJECT = DEPLOY / "k8s" / "components" / "monitoring" / "rules.yaml"
HEAD = """\
# Made of ../../../monitoring/rules.yml by python -m tests.deploy.prometheus_rule: change those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: winnow
spec:
"""


def rule() -> str:
    """The object as YAML: the same lines, further in."""
    _, groups = RULES.read_text().split("groups:\n")
    lines = ["groups:", *groups.splitlines()]
    return HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    OBJECT.write_text(rule())
