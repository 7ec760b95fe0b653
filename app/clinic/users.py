"""Who sits before the dashboard, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from skin_lesion.settings import DashboardConfig

Role = Literal["clinician", "engineer"]
ROLES: tuple[Role, ...] = get_args(Role)

_LONGEST_NAME = 200


@dataclass(frozen=True)
class User:
    """A person.

    Attributes:
        name: By which the audit log knows them.
        roles: What they may do: `clinician` reads pictures, `engineer` promotes and rolls back.
        identified: Whether they proved who they are.
    """

    name: str
    roles: frozenset[Role]
    identified: bool = True

    @property
    def role(self) -> str:
        """The roles as the audit log holds them."""
        return "+".join(role for role in ROLES if role in self.roles) or "none"

    def may(self, role: Role) -> bool:
        """Whether they hold a role."""
        return role in self.roles


# Whoever sits at this machine can run every command of the project anyway.
LOCAL = User("local", frozenset(ROLES), identified=False)


def user_of(claims: Mapping[str, Any], config: DashboardConfig) -> User:
    """The person that the claims of a log-in describe.

    Raises:
        ValueError: They name nobody.
    """
    name = next((claims[key] for key in config.user_claims if claims.get(key)), None)
    if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"the log-in names nobody; expected one of the claims {', '.join(config.user_claims)}"
        )
    found = claims.get(config.role_claim)
    held = [found] if isinstance(found, str) else found if isinstance(found, list | tuple) else []
    wanted = {"clinician": config.clinician_role, "engineer": config.engineer_role}
    return User(name, frozenset(role for role in ROLES if wanted[role] in held))
