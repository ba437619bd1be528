"""Compares objects of KEDA and of the Prometheus operator, on standard input, with the operators' own schemas.

A field that a schema does not know, or a value that it does not take, is an error. Writes how many objects passed.
"""

import sys

import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

MODELS = {model.__name__: model for model in (ScaledObject, PrometheusRule, ServiceMonitor)}

num_passed = 0
for each in yaml.safe_load_all(sys.stdin):
    if each["kind"] in MODELS:
        MODELS[each["kind"]].model_validate(each, extra="forbid")
        num_passed += 1
sys.stdout.write(str(num_passed))
