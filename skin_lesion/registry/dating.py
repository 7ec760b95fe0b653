"""When versions were registered."""

from datetime import UTC, datetime

from skin_lesion.registry.version import MODEL_NAME


def registered_at(name: str = MODEL_NAME) -> dict[int, datetime]:
    """When each version was made, in UTC, by its number."""
    import mlflow

    client = mlflow.MlflowClient()
    found: dict[int, datetime] = {}
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        for one in page:
            found[int(one.version)] = datetime.fromtimestamp(one.creation_timestamp / 1000, UTC)
        token = page.token
        if not token:
            return found
