"""The engineers' routes: which models there are, and decisions about them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from inspection.bundle import read_manifest
from inspection.errors import BundleError, RegistryError
from inspection.registry import Decision, ModelRegistry
from serving.guard import READERS, allow
from serving.schemas import DecisionRequest, ModelAnswer, ModelsAnswer
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1")
Here = Annotated[Station, Depends(the_station)]
Engineer = Annotated[str, Depends(allow("engineer"))]


@router.get("/models", dependencies=[Depends(allow(*READERS))], summary="List the models")
def models(station: Here) -> ModelsAnswer:
    """Returns the models, which of them is in force, and whether auto-pass is paused."""
    follower = station.models
    registry = follower.registry
    return ModelsAnswer(
        serving=follower.current.id if follower.ready else None,
        production=registry.production(),
        shadow=registry.shadow(),
        auto_pass_paused=registry.auto_pass_paused() is not None,
        models=tuple(_describe(station, model) for model in registry.models()),
    )


@router.post("/models/{model}/approve", summary="Put a model into production")
def approve(model: str, request: DecisionRequest, station: Here, actor: Engineer) -> Decision:
    """Makes a model the production model; it takes over without a request being dropped."""
    decision = station.models.registry.approve(_find(station, model), actor=actor, reason=request.reason)
    station.models.poll()
    return decision


@router.post("/models/{model}/rollback", summary="Go back to a model")
def rollback_to(model: str, request: DecisionRequest, station: Here, actor: Engineer) -> Decision:
    """Goes back to a model that is named."""
    decision = station.models.registry.rollback(_find(station, model), actor=actor, reason=request.reason)
    station.models.poll()
    return decision


@router.post("/models/rollback", summary="Go back to the model before")
def rollback(request: DecisionRequest, station: Here, actor: Engineer) -> Decision:
    """Goes back to the model that was in production before the present one."""
    decision = station.models.registry.rollback(actor=actor, reason=request.reason)
    station.models.poll()
    return decision


@router.post("/auto-pass/resume", summary="Let parts pass again")
def resume(request: DecisionRequest, station: Here, actor: Engineer) -> Decision:
    """Lifts the pause: parts are accepted without a person again."""
    decision = station.models.registry.resume(actor=actor, reason=request.reason)
    station.models.poll()
    return decision


def _find(station: Station, model: str) -> str:
    try:
        return station.models.registry.find(model)
    except RegistryError as error:
        raise HTTPException(404, str(error)) from error


def _describe(station: Station, model: str) -> ModelAnswer:
    registry = station.models.registry
    refusals = {r.id: r.reason for r in (station.shadow.refusal, station.models.refusal) if r}
    try:
        manifest = read_manifest(registry.store, model)
    except BundleError as error:
        return ModelAnswer(
            id=model,
            status="unusable",
            created_at=None,
            architecture=None,
            ontology_version=None,
            classes=(),
            gate={},
            problem=str(error),
        )
    return ModelAnswer(
        id=model,
        status=_status(registry, model),
        created_at=manifest.created_at,
        architecture=manifest.architecture,
        ontology_version=manifest.ontology.version,
        classes=manifest.classes,
        gate=manifest.gate,
        problem=refusals.get(model),
    )


def _status(registry: ModelRegistry, model: str) -> str:
    if model == registry.production():
        return "production"
    return "shadow" if model == registry.shadow() else "candidate"
