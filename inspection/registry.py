"""Which model serves, who decided that, and whether parts may pass without a person.

Decisions are events, written once and never changed, as JSON under ``audit/`` in the object store;
the state is what they add up to. So the audit log cannot disagree with what is in force, nobody needs
a lock, and a service that comes back reads where things stand.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from inspection.bundle import list_bundles, load_bundle, read_manifest
from inspection.errors import BundleError, RegistryError
from inspection.store import ObjectStore

PREFIX = "audit"

Action = Literal["approve", "rollback", "shadow", "pause", "resume"]


class Decision(BaseModel):
    """One entry of the audit log.

    Attributes:
        actor: who decided: a person's name, or ``rule:NAME`` where a rule did.
        model: bundle id; None for pause and resume.
        previous: the production model before the decision, where that matters.
        evidence: id of the record in the object store that it rests on, such as a `Trial`; None without.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    at: datetime
    action: Action
    actor: str
    reason: str
    model: str | None = None
    previous: str | None = None
    evidence: str | None = None


class ModelRegistry:
    """Reads and takes decisions about models."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._seen: dict[str, Decision] = {}  # an event never changes, so each is read once

    def history(self) -> list[Decision]:
        """Returns every decision, oldest first.

        Raises:
            RegistryError: an entry is damaged; what is in force cannot be told then.
        """
        for key in self.store.list(f"{PREFIX}/"):
            if key not in self._seen:
                self._seen[key] = self._read(key)
        return [self._seen[key] for key in sorted(self._seen)]

    def models(self) -> list[str]:
        """Returns the ids of all bundles."""
        return list_bundles(self.store)

    def production(self) -> str | None:
        """Returns the id of the model whose verdicts count, or None."""
        return _last(self.history(), "approve", "rollback")

    def shadow(self) -> str | None:
        """Returns the id of the model that runs beside it; approval of any model ends a shadow."""
        begun = self.shadow_begun()
        return begun.model if begun else None

    def shadow_begun(self) -> Decision | None:
        """Returns the decision that let the shadow run, if there is one."""
        decisions = [d for d in self.history() if d.action in ("shadow", "approve", "rollback")]
        return decisions[-1] if decisions and decisions[-1].action == "shadow" else None

    def earlier(self) -> str | None:
        """Returns the id of the model that a rollback would bring back, or None."""
        return next(iter(self._line()[-2:-1]), None)

    def auto_pass_paused(self) -> Decision | None:
        """Returns the decision that stopped parts from passing without a person, if one is in force."""
        decisions = [d for d in self.history() if d.action in ("pause", "resume")]
        return decisions[-1] if decisions and decisions[-1].action == "pause" else None

    def approve(self, model: str, *, actor: str, reason: str, evidence: str | None = None) -> Decision:
        """Makes a model the production model; an abbreviated id will do if it is unambiguous.

        Raises:
            RegistryError: no such model, or a file of its bundle is missing or damaged.
        """
        return self._decide("approve", actor, reason, self._sound(model), self.production(), evidence)

    def start_shadow(self, model: str, *, actor: str, reason: str) -> Decision:
        """Lets a model run beside the production model.

        Raises:
            RegistryError: as `approve`.
        """
        return self._decide("shadow", actor, reason, self._sound(model), self.production())

    def rollback(self, to: str | None = None, *, actor: str, reason: str) -> Decision:
        """Goes back to `to`, or to the model that was in production before the present one.

        A second time it goes one further, and never forward to a model that was left.

        Raises:
            RegistryError: there is nothing to go back to.
        """
        current = self.production()
        if (wanted := to or self.earlier()) is None:
            raise RegistryError("there is no earlier production model to go back to: name one with --to")
        return self._decide("rollback", actor, reason, self.find(wanted), current)

    def pause(self, *, actor: str, reason: str) -> Decision:
        """Stops parts from being accepted without a person, until `resume`."""
        return self._decide("pause", actor, reason)

    def resume(self, *, actor: str, reason: str) -> Decision:
        """Lifts the pause.

        Raises:
            RegistryError: nothing is paused.
        """
        if self.auto_pass_paused() is None:
            raise RegistryError("auto-pass is not paused: there is nothing to resume")
        return self._decide("resume", actor, reason)

    def find(self, model: str) -> str:
        """Returns the full id of a complete bundle from its id or the beginning of it.

        Raises:
            RegistryError: no bundle, or several, begin like that, or its manifest is damaged.
        """
        found = [bundle_id for bundle_id in self.models() if bundle_id.startswith(model)] if model else []
        if len(found) != 1:
            problem = f"{len(found)} models begin with {model!r}" if found else f"there is no model {model!r}"
            raise RegistryError(f"{problem}: `vqi status` and the Dagster UI list their ids")
        try:
            read_manifest(self.store, found[0])
        except BundleError as error:
            raise RegistryError(f"this model cannot be used: {error}") from error
        return found[0]

    def _sound(self, model: str) -> str:
        """Returns what `find` does, once every file of the bundle is what its manifest tells.

        A rollback does without: it must be quick, and has served before.
        """
        found = self.find(model)
        try:
            load_bundle(self.store, found)
        except BundleError as error:
            raise RegistryError(f"this model cannot be used: {error}") from error
        return found

    def _line(self) -> list[str]:
        """Returns the production models that led to the present one, which comes last."""
        line: list[str] = []
        for decision in self.history():
            if decision.action not in ("approve", "rollback") or decision.model is None:
                continue
            if decision.action == "rollback" and decision.model in line:
                while line[-1] != decision.model:
                    line.pop()
            elif line[-1:] != [decision.model]:
                line.append(decision.model)
        return line

    def _read(self, key: str) -> Decision:
        try:
            return Decision.model_validate_json(self.store.get(key))
        except ValidationError as error:
            raise RegistryError(f"{self.store.url}/{key} is no decision: restore it from a backup") from error

    def _decide(
        self,
        action: Action,
        actor: str,
        reason: str,
        model: str | None = None,
        previous: str | None = None,
        evidence: str | None = None,
    ) -> Decision:
        if not actor.strip():
            raise RegistryError("a decision needs a person: say who takes it")
        if not reason.strip():
            raise RegistryError("a decision needs a reason: say why with --reason")
        decision = Decision(
            id=uuid.uuid4().hex,
            at=self._now(),
            action=action,
            actor=actor,
            reason=reason.strip(),
            model=model,
            previous=previous,
            evidence=evidence,
        )
        stamp = decision.at.strftime("%Y%m%dT%H%M%S.%fZ")
        self.store.put(f"{PREFIX}/{stamp}-{decision.id}.json", decision.model_dump_json(indent=2).encode())
        return decision

    def _now(self) -> datetime:
        # The newest decision counts, so a clock that was set back must not put one behind the last.
        now, history = datetime.now(UTC), self.history()
        return max(now, history[-1].at + _TICK) if history else now


_TICK = datetime.resolution


def _last(history: list[Decision], *actions: Action) -> str | None:
    models = [d.model for d in history if d.action in actions]
    return models[-1] if models else None
