"""What a person knowingly lets pass the guard, with who and why."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GuardName = Literal["rows", "quarantined", "changed"]


class Acceptance(BaseModel):
    """Findings of the guard that shall not stop this run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    removals: int = Field(
        0, ge=0, description="Up to how many users this run may remove.", examples=[1200]
    )
    guards: tuple[GuardName, ...] = Field(
        (), description="Findings to let pass: `rows`, `quarantined`, `changed`."
    )
    by: str | None = Field(
        None, description="Who accepts it, as `Ada, on duty`; kept in the report."
    )
    why: str | None = Field(None, description="Why, as `branch 7 was sold`; kept in the report.")

    @property
    def anything(self) -> bool:
        """Whether anything is accepted."""
        return bool(self.removals or self.guards)


NOTHING = Acceptance()
