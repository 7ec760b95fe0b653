"""How long MLflow waits for a server while somebody waits for an answer."""

from collections.abc import MutableMapping

# MLflow's own defaults find out that a server is down after more than four minutes. These are
# variables of its environment, which the user may have set to something else.
_QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def be_quick(environment: MutableMapping[str, str]) -> None:
    """Have MLflow find out within seconds that a server is down, unless the user says otherwise.

    Args:
        environment: Of the process, before MLflow asks its first question.
    """
    for name, value in _QUICK.items():
        environment.setdefault(name, value)
