"""What a service that does not do its part is called in one line: MLflow, ZenML, their databases.

None of their libraries is imported here: an error of theirs comes up only where they were imported,
and most commands need but some of them.
"""

import re
import sys
import textwrap
import traceback
from collections.abc import Iterator

_LONGEST = 400
_PASSWORD = re.compile(r"(//[^/@:\s]*:)[^/@\s]*@")  # in an address that an error quotes
_NO_ENTRY = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


def explain(error: BaseException) -> str | None:
    """What failed, where it is, and what to do about it.

    Args:
        error: As it was raised.

    Returns:
        One line without secrets; None where the error is neither a service's nor one of settings.
    """
    if _is(error, "mlflow.exceptions", "MlflowException"):
        return _of_mlflow(error)
    if _is(error, "sqlalchemy.exc", "SQLAlchemyError"):
        there = " or ".join(_databases())
        return (
            f"a database cannot be used ({there}): {_line(getattr(error, 'orig', None) or error)}; "
            "see that it is there, is a database of that program, and may be written"
        )
    if isinstance(error, ModuleNotFoundError) and _raised_in(error, "sqlalchemy.dialects"):
        return (
            f"the driver {error.name} of a database ({' or '.join(_databases())}) is not installed; name "
            "one that is, such as postgresql+psycopg://..., or install it"
        )
    if _is(error, "zenml.exceptions", "ZenMLBaseException"):
        return f"ZenML at {_zenml()} failed: {_line(error)}; see `zenml status`"
    if "zenml" in sys.modules and any(_asked_zenml(one) for one in _chain(error)):
        return (
            f"ZenML at {_zenml()} does not answer: {_root(error)}; see that it runs, and that "
            "`zenml status` names the right one"
        )
    if _is(error, "botocore.exceptions", "BotoCoreError", "ClientError"):
        return f"the S3 store failed: {_line(error)}; see its address and your credentials"
    if _is(error, "pydantic", "ValidationError"):
        from skin_lesion.mistakes import mistakes

        return _line(ValueError(f"{error.title}: {mistakes(error)}"))  # type: ignore[attr-defined,arg-type]
    return None


def _of_mlflow(error: BaseException) -> str:
    if any(_is(one, "requests.exceptions", "ConnectionError", "Timeout") for one in _chain(error)):
        what = f"MLflow at {_mlflow()} does not answer: {_root(error)}"
    else:
        what = f"MLflow at {_mlflow()} failed: {_line(error)}"
    if getattr(error, "error_code", None) in _NO_ENTRY:
        return (
            f"{what}; say who you are in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or in MLFLOW_TRACKING_TOKEN"
        )
    return f"{what}; see that it runs, and that MLFLOW_TRACKING_URI names the right one"


def _raised_in(error: BaseException, package: str) -> bool:
    """Whether the function that raised it belongs to a package."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    return any(name.startswith(f"{package}.") for name in modules)


def _databases() -> Iterator[str]:
    if "mlflow" in sys.modules:
        yield f"MLflow's at {_mlflow()}"
    if "zenml" in sys.modules:
        yield f"ZenML's at {_zenml()}"
    if "skin_lesion.audit" in sys.modules:
        yield "the audit log"


def _mlflow() -> str:
    from skin_lesion import tracking

    return tracking.address()


def _zenml() -> str:
    from zenml.config.global_config import GlobalConfiguration

    from skin_lesion import tracking

    return tracking.without_password(GlobalConfiguration().store_configuration.url)


def _is(error: BaseException, module: str, *names: str) -> bool:
    found = sys.modules.get(module)
    return found is not None and isinstance(error, tuple(getattr(found, name) for name in names))


def _asked_zenml(error: BaseException) -> bool:
    """Whether this is what became of a request to ZenML's server, and not to anybody else."""
    if not _is(error, "requests.exceptions", "RequestException"):
        return False
    from zenml.config.global_config import GlobalConfiguration

    url = str(getattr(getattr(error, "request", None), "url", None))
    return url.startswith(GlobalConfiguration().store_configuration.url)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _root(error: BaseException) -> str:
    """The words of what an error began with: the system's, where a connection failed."""
    *_, first = _chain(error)
    return _line(first)


def _line(error: BaseException) -> str:
    """The words of an error on one line, at most so many of them, and without a password."""
    words = _PASSWORD.sub(r"\1***@", " ".join(str(error).split()).rstrip("."))
    return textwrap.shorten(words, _LONGEST, placeholder=" …") or type(error).__name__
