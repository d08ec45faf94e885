"""Automations: what Prefect does by itself when a run goes wrong, declared in a file.

Its entries are Prefect's own, but for actions of the type ``alert`` (``subject`` and ``body``,
templates): they become what the alerts' block can do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import yaml
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr, ValidationError

from core.environment import value_of
from core.errors import ConfigError

PREFIX = "profile-prefetch: "
"""How the names of all our automations begin: others are not touched."""

BLOCK = "PREFETCH_ALERT_BLOCK"
URL = "PREFETCH_ALERT_URL"
_OURS = "profile-prefetch-alerts"
_PAYLOAD = """\
{{% set subject %}}{subject}{{% endset %}}{{% set body %}}{body}{{% endset -%}}
{{"text": {{{{ (subject ~ "\\n" ~ body) | tojson }}}}, "subject": {{{{ subject | tojson }}}}, \
"body": {{{{ body | tojson }}}}, "run": {{{{ flow_run.id | string | tojson }}}}, \
"url": {{{{ (flow_run | ui_url or "") | tojson }}}}}}"""
"""What a webhook gets: JSON, as chats take it, too."""


@dataclass(frozen=True)
class Alerts:
    """The block that alerts go to."""

    block: UUID
    is_webhook: bool

    def action(self, subject: str, body: str) -> dict[str, Any]:
        """What tells of something."""
        if self.is_webhook:
            payload = _PAYLOAD.format(subject=subject, body=body)
            return self._made("call-webhook", payload=payload)
        told = body + '\n{{ flow_run | ui_url or "" }}'
        return self._made("send-notification", subject=subject, body=told)

    def _made(self, kind: str, **more: str) -> dict[str, Any]:
        return {"type": kind, "block_document_id": str(self.block), **more}


def alerts_block() -> Alerts:
    """The block that the environment names; for an address, one that is made of it.

    Raises:
        ConfigError: nothing is set, or there is no such block.
    """
    if named := os.environ.get(BLOCK):
        try:
            block = cast("Block", Block.load(named))
        except (ValueError, ObjectNotFound):
            raise ConfigError(
                f"{BLOCK}: Prefect has no block {named}; it is TYPE/NAME, as in slack-webhook/ops"
            ) from None
    elif url := value_of(os.environ, URL):
        block = _webhook(url)
    else:
        raise ConfigError(
            f"nobody to alert: set {BLOCK} (a block, as in slack-webhook/ops) or {URL} (an address)"
        )
    made: UUID | None = block._block_document_id
    assert made is not None
    return Alerts(made, isinstance(block, Webhook))


def _webhook(url: str) -> Block:
    try:
        known = Webhook.load(_OURS)
        if isinstance(known, Webhook) and known.url.get_secret_value() == url:
            return known
    except ValueError:
        pass
    headers = {"Content-Type": "application/json"}
    made = Webhook.model_validate({"url": SecretStr(url), "headers": headers})
    made.save(_OURS, overwrite=True)
    return made


def declared(file: Path, alerts: Alerts) -> list[AutomationCore]:
    """The automations of a file.

    Raises:
        ConfigError: it can't be read, or has mistakes.
    """
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))["automations"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"{file}: can't read the automations: {why}") from None
    made, problems = [], []
    for place, entry in enumerate(entries):
        try:
            made.append(_automation(entry, alerts))
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
            name = entry.get("name", place) if isinstance(entry, dict) else place
            problems.append(f"{file}: automation {name}: {_problem(error)}")
    if problems:
        raise ConfigError(problems)
    return made


def _automation(entry: dict[str, Any], alerts: Alerts) -> AutomationCore:
    if not str(entry["name"]).startswith(PREFIX):
        raise ValueError(f"its name must begin with {PREFIX!r}")
    actions = [
        alerts.action(action["subject"], action["body"]) if action["type"] == "alert" else action
        for action in entry["actions"]
    ]
    return AutomationCore.model_validate({**entry, "actions": actions})


def _problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{error} is missing" if isinstance(error, KeyError) else str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{' → '.join(map(str, first['loc']))}: {first['msg']}"


def apply(client: SyncPrefectClient, wanted: list[AutomationCore]) -> dict[str, str]:
    """Makes Prefect have these automations of ours and no others; by name, what was done.

    One that a person has switched off stays so.
    """
    known = {each.name: each for each in _ours(client)}
    done = {}
    for automation in wanted:
        there = known.pop(automation.name, None)
        if there is None:
            client.create_automation(automation)
            done[automation.name] = "created"
        elif _same(there, automation):
            done[automation.name] = "unchanged"
        else:
            new = automation.model_copy(update={"enabled": there.enabled})
            client.update_automation(there.id, new)
            done[automation.name] = "updated"
    for name, gone in known.items():
        client.delete_automation(gone.id)
        done[name] = "removed"
    return done


def _ours(client: SyncPrefectClient) -> list[Automation]:
    answer = client.request("POST", "/automations/filter", json={"limit": 200})
    found = [Automation.model_validate(each) for each in answer.json()]
    return [each for each in found if each.name.startswith(PREFIX)]


def _same(there: Automation, wanted: AutomationCore) -> bool:
    told = {"name", "description", "trigger", "actions"}
    # Not as JSON: that makes lists of sets, in any order.
    first, second = (each.model_dump(include=told) for each in (there, wanted))
    return first == second
