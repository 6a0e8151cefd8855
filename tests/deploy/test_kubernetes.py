"""The manifests are what Kubernetes takes, hold together, and say what the contract says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.tools import DEPLOY

FOLDER = DEPLOY / "kubernetes"
NO_OBJECTS = ("kustomization.yaml", "prometheus-adapter.yaml")  # of kustomize, and of a Helm chart
FOREIGN = ("gpu-sharing.yaml",)  # belongs to the device plugin's namespace
VERSIONS = ("1.30", "1.37")  # the oldest that knows the hook `sleep`, and the newest that can be checked


def documents(*files: Path) -> list[dict[str, Any]]:
    return [told for file in files for told in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


OBJECTS = documents(*sorted(file for file in FOLDER.glob("*.yaml") if file.name not in NO_OBJECTS))


def the(kind: str, name: str = "vqi-service") -> dict[str, Any]:
    (found,) = [told for told in OBJECTS if told["kind"] == kind and told["metadata"]["name"] == name]
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = the("StatefulSet")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("told", OBJECTS, ids=lambda told: f"{told['kind']} {told['metadata']['name']}")
def test_kubernetes_takes_it(told: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(told, version, strict=True)


def test_a_slip_would_be_seen() -> None:
    wrong = copy.deepcopy(the("HorizontalPodAutoscaler"))
    wrong["spec"]["maxReplica"] = 8
    with pytest.raises(kubernetes_validate.ValidationError, match="maxReplica"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_kustomize_applies_every_object() -> None:
    (told,) = documents(FOLDER / "kustomization.yaml")
    assert sorted(told["resources"]) == sorted(
        file.name for file in FOLDER.glob("*.yaml") if file.name not in (*NO_OBJECTS, *FOREIGN)
    )


def test_the_numbers_of_the_contract() -> None:
    assert the("StatefulSet")["spec"]["replicas"] == 4
    scaling = the("HorizontalPodAutoscaler")["spec"]
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (2, 8)
    (metric,) = scaling["metrics"]
    assert metric["pods"]["metric"]["name"] == "vqi_requests_in_progress"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "10"}
    assert scaling["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 30
    assert scaling["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert the("ConfigMap")["data"]["VQI_SERVICE_QUEUE"] == "50"


def test_each_replica_gets_half_a_gpu() -> None:
    plugin = yaml.safe_load(the("ConfigMap", "vqi-gpu-sharing")["data"]["config.yaml"])
    sharing = plugin["sharing"]["timeSlicing"]
    assert sharing["resources"] == [{"name": "nvidia.com/gpu", "replicas": 2}]
    assert sharing["renameByDefault"]  # which is what adds `.shared`
    (container,) = pod()["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu.shared"] == 1


def test_the_parts_name_each_other() -> None:
    state = the("StatefulSet")["spec"]
    labels = state["template"]["metadata"]["labels"]
    services = [told for told in OBJECTS if told["kind"] == "Service"]
    selectors = [told["spec"]["selector"] for told in services]
    selectors += [
        state["selector"]["matchLabels"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    selectors.append(the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    assert selectors == [labels] * 5
    assert the("Service", state["serviceName"])["spec"]["clusterIP"] == "None"
    assert the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "vqi-service"


def test_a_camera_sticks_to_a_replica_that_keeps_its_memory() -> None:
    assert the("Service")["spec"]["sessionAffinity"] == "ClientIP"
    state = the("StatefulSet")["spec"]
    assert set(state["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = state["volumeClaimTemplates"]
    (container,) = pod()["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/vqi"


def test_a_replica_may_little() -> None:
    (container,) = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"]
    assert not pod()["automountServiceAccountToken"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_replica_has_the_time_to_answer_what_it_has() -> None:
    (container,) = pod()["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    noticed = container["readinessProbe"]["periodSeconds"]
    assert noticed < pause < pod()["terminationGracePeriodSeconds"] - 30
