# Gives this shell the project's environment, so that the stock `zenml`, `mlflow` and `skin-lesion`
# commands work on the project's own stack:  source activate.sh   (bash or zsh)
# The user's own ZenML and MLflow stay as they are. This file is the one home of these settings.

if [ -n "${ZSH_VERSION:-}" ]; then
  eval 'SKIN_LESION_ROOT=${${(%):-%x}:A:h}'
else
  SKIN_LESION_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
fi

if [ ! -f "$SKIN_LESION_ROOT/.venv/bin/activate" ]; then
  echo "There is no environment yet; make it first:  make -C '$SKIN_LESION_ROOT' setup" >&2
  return 1
fi
. "$SKIN_LESION_ROOT/.venv/bin/activate"

# ZenML's configuration and database lie in .zenml, everything that runs produce in .work.
export ZENML_CONFIG_PATH="$SKIN_LESION_ROOT/.zenml"
export ZENML_ANALYTICS_OPT_IN=false
export ZENML_AUTO_OPEN_DASHBOARD=false
# A failed step ends with a short traceback and its message, not with pages of framed source.
export ZENML_ENABLE_RICH_TRACEBACK=false
# The database that the stack's experiment tracker writes.
export MLFLOW_TRACKING_URI="sqlite:///$SKIN_LESION_ROOT/.work/store/mlflow.db"
export MLFLOW_BACKEND_STORE_URI="$MLFLOW_TRACKING_URI"
export MLFLOW_DISABLE_TELEMETRY=true
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false
export MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false

export KERAS_BACKEND="${KERAS_BACKEND:-tensorflow}"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
export MPLBACKEND="${MPLBACKEND:-Agg}"
export GIT_PYTHON_REFRESH=quiet
# Starting a command takes twice as long where bytecode may not be written.
unset PYTHONDONTWRITEBYTECODE
