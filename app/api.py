"""The REST service: pictures in, answers of the model in production out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import skin_lesion
from app.access_log import AccessLog
from app.admission import Admission
from app.answers import EXAMPLE, Alive, PredictAnswer, Problem, Ready, VersionAnswer
from app.judging import NotRecordedError, judge
from app.model_store import ModelStore, NotReadyError, Served
from app.security import Client, Guard, RefusedError
from app.uploads import FIELD, ClientDisconnect, read_pictures
from skin_lesion.audit import AuditLog
from skin_lesion.prediction import NOTICE
from skin_lesion.settings import ServeConfig

# The classes by their codes, as `skin_lesion.labels.LABELS`; a test holds the two together.
HeatMapOf = Literal["predicted", "akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
_CLIENT_LEFT = 499

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Files: JPEG, PNG, TIFF, WebP, BMP or DICOM.",
                        }
                    },
                }
            }
        },
    }
}
_PROBLEMS: dict[int, str] = {
    400: "The request is malformed.",
    401: "Nobody said who he is, or it was not accepted.",
    403: "Who asks may not ask.",
    408: "The request took too long to arrive.",
    413: "Too much was sent.",
    415: "Something else than multipart/form-data was sent.",
    422: "No picture was sent, or an option is none.",
    429: "This client has as many requests here as one may have.",
    500: "Something went wrong here.",
    503: "No model serves, the service is busy, or the answer could not be recorded.",
    504: "There was no answer in time.",
}


def create_app(
    config: ServeConfig, store: ModelStore, guard: Guard, audit: AuditLog | None = None
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        config: The limits.
        store: Holds the model; it is started and stopped with the application.
        guard: Tells who may ask.
        audit: Where answers are written down; None keeps no log.
    """
    admission = Admission(config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        store.start()
        yield
        admission.close()
        await run_in_threadpool(store.stop)

    app = FastAPI(
        title="Skin lesion classifier",
        version=skin_lesion.__version__,
        description=NOTICE,
        lifespan=lifespan,
        # Both pages load their scripts from other sites; /openapi.json is all a viewer needs.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(AccessLog)
    _answer_problems(app, config)
    _complete_openapi(app, guard)

    async def identified(request: Request) -> Client:
        peer = request.client.host if request.client else None
        client = await run_in_threadpool(guard.identify, request.headers, peer)
        request.state.noted["client"] = client
        return client

    @app.get("/health", tags=["state"], summary="Is the process alive?")
    async def health() -> Alive:
        return Alive()

    @app.get(
        "/ready",
        tags=["state"],
        summary="Are pictures judged?",
        responses={503: {"model": Ready, "description": "No; `problem` says why."}},
    )
    async def ready(response: Response) -> Ready:
        state = store.state()
        response.status_code = 503 if state.served is None else 200
        ago = None if state.looked_at is None else (datetime.now(UTC) - state.looked_at)
        return Ready(
            ready=state.served is not None,
            version=state.served.version.version if state.served else None,
            problem=state.problem,
            registry_seconds=None if ago is None else round(max(0.0, ago.total_seconds()), 1),
        )

    @app.get(
        "/version",
        tags=["state"],
        summary="Which model speaks, and what does it promise?",
        responses=_documented(401, 403, 500, 503),
    )
    async def version(_: Annotated[Client, Depends(identified)]) -> VersionAnswer:
        return VersionAnswer.of(store.current(), store.state())

    @app.post(
        "/v1/predict",
        tags=["predictions"],
        summary="Judge one or many pictures",
        response_model=PredictAnswer,
        responses=_documented(*_PROBLEMS),
        openapi_extra=_UPLOAD,
    )
    async def predict(
        request: Request,
        client: Annotated[Client, Depends(identified)],
        heat_map: Annotated[
            HeatMapOf | None,
            Query(
                description="Lay a heat-map over each picture that was judged: for the class of "
                "this code, or for the predicted one. It is no evidence that the answer is right."
            ),
        ] = None,
    ) -> Response:
        """One answer for each picture, in order; a picture that cannot be read disturbs no other."""
        noted = request.state.noted
        with admission.place(client) as place:
            store.current()  # without a model there is no need to send pictures
            pictures = await read_pictures(request, config)
            noted["pictures"], noted["bytes"] = len(pictures), sum(map(len, pictures))
            # Taken once: every answer of a request is of one model, whatever is promoted meanwhile.
            served: Served = store.current()
            noted["version"] = served.version.version
            answer = await admission.work(
                place,
                lambda deadline: judge(
                    served, pictures, client, deadline, heat_map_of=heat_map, audit=audit
                ),
            )
        noted["statuses"] = [each.status for each in answer.predictions]
        return _json(answer)

    return app


def _answer_problems(app: FastAPI, config: ServeConfig) -> None:
    """Turn what goes wrong into answers that say what to do and give nothing away."""
    again = {"Retry-After": str(config.retry_after_seconds)}

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return _problem(request, error.status, str(error), error.headers)

    async def not_ready(request: Request, error: Exception) -> Response:
        return _problem(request, 503, str(error), again)

    async def not_recorded(request: Request, error: Exception) -> Response:
        message = "the answer could not be recorded in the audit log, so it is not given"
        return _problem(request, 503, message, again)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        return _problem(request, 422, found)

    async def foreseen(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _problem(request, error.status_code, str(error.detail), error.headers)

    async def left(request: Request, error: Exception) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        RefusedError: refused,
        NotReadyError: not_ready,
        NotRecordedError: not_recorded,
        RequestValidationError: invalid,
        HTTPException: foreseen,
        ClientDisconnect: left,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _complete_openapi(app: FastAPI, guard: Guard) -> None:
    """Add to the OpenAPI document what FastAPI leaves out: examples with nulls, keys and tokens."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        document = plain()
        document["components"]["schemas"]["PredictAnswer"]["examples"] = [EXAMPLE]
        schemes = guard.schemes()
        if schemes:
            document["components"]["securitySchemes"] = schemes
            for path in ("/version", "/v1/predict"):
                for operation in document["paths"][path].values():
                    operation["security"] = [{name: []} for name in schemes]
        return document

    app.openapi = complete  # type: ignore[method-assign]


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": _PROBLEMS[status]} for status in statuses}


def _problem(request: Request, status: int, detail: str, headers: Any = None) -> Response:
    body = Problem(detail=detail, request_id=request.state.request_id)
    return _json(body, status, headers)


def _json(body: BaseModel, status: int = 200, headers: Any = None) -> Response:
    # Pydantic's own JSON: a figure that is not finite becomes null instead of an error.
    return Response(body.model_dump_json(), status, headers, media_type="application/json")
