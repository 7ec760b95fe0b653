#!/usr/bin/env bash
# The life of two models on the drawn pictures of the demo: trained, compared, a step run again,
# refused, promoted, asked, recorded, rolled back, meddled with, cut off, mended. Each command is
# printed before it runs.
#
#   docs/tour.sh            from anywhere; the environment has to be there (make setup)
#
# It works on the project's own stack, as `make demo` does, and leaves the model of the demo in
# production there. Minutes on two cores, and less where the models are trained already.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source ./activate.sh
TOUR=.work/tour
mkdir -p "$TOUR"
MODEL=skin-lesion-classifier
PIPELINE=pipelines.training.training_pipeline

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() {
  local word; printf '\n$'
  for word in "$@"; do [[ $word =~ ^[A-Za-z0-9_./:=@-]+$ ]] && printf ' %s' "$word" || printf " '%s'" "$word"; done
  printf '\n'; "$@"
}
# The command has to succeed, or to fail: the tour ends where it does not.
ok() { show "$@" || { echo "docs/tour.sh: this was to succeed, and ended with $?" >&2; exit 1; }; }
no() { if show "$@"; then echo "docs/tour.sh: this was to fail" >&2; exit 1; else echo "(exit status $?)"; fi; }
# A value out of `status --json`.
ask() { skin-lesion status --json --quick 2>/dev/null | python -c "import json, sys; s = json.load(sys.stdin); print($1)"; }
registered() { skin-lesion results | sed -n 's/^Registered: .*version //p'; }

say "Two models on the same pictures and the same split; the second one learns for an epoch alone"
sed -e 's/epochs: [48]$/epochs: 1/' -e 's/rise_epochs: 1/rise_epochs: 0/' configs/demo.yaml > "$TOUR/hasty.yaml"
ok skin-lesion setup
ok zenml pipeline run "$PIPELINE" -c configs/demo.yaml
BETTER=$(registered)
ok zenml pipeline run "$PIPELINE" -c "$TOUR/hasty.yaml"
WORSE=$(registered)
echo; echo "version $BETTER learnt as long as the demo does, version $WORSE for an epoch"
skin-lesion status --repair --quick > /dev/null  # whatever was left behind by an earlier tour

say "Are they different, or was it luck?"
ok skin-lesion compare "$BETTER" "$WORSE"

say "Are files, answers and figures still what was recorded?"
ok skin-lesion verify "$BETTER" --pictures

say "All of that were looks at the test split: how many, why, and does the ledger still hold them?"
ok skin-lesion ledger
ok skin-lesion ledger verify

say "Any of the eight steps can be run again by itself; beforehand it is said what that takes"
for STEP in ingest validate split augment warmup_train finetune_train evaluate register; do
  ok skin-lesion rerun "$STEP" --dry-run
done
ok skin-lesion rerun register --yes

say "The worse one is refused"
no skin-lesion promote "$WORSE" --reason "it is the newest"

say "The better one goes into production; doing it twice changes nothing"
ok skin-lesion promote "$BETTER" --reason "it passed its gates"
ok skin-lesion promote "$BETTER"
ok skin-lesion status

say "What is in production is asked about a drawn lesion"
python - "$TOUR" <<'PYTHON' || exit 1
import sys
from pathlib import Path
from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.settings import SyntheticConfig
import zipfile
drawn = SyntheticConfig(lesions_per_class=3, max_images_per_lesion=1)
archive = Path(sys.argv[1]) / "drawn.zip"
write_synthetic(archive, synthetic_metadata(drawn, 99), drawn, 99, workers=1)
with zipfile.ZipFile(archive) as zipped:
    for name in [name for name in zipped.namelist() if name.endswith(".jpg")][::5]:
        (Path(sys.argv[1]) / Path(name).name).write_bytes(zipped.read(name))
PYTHON
# 3: a picture was refused as one that cannot be assessed, which is an answer too.
show skin-lesion predict "$TOUR"/*.jpg || [ $? -eq 3 ] || exit 1

say "Answers are recorded in a log that shows when it was tampered with"
AUDIT=sqlite:///$PWD/$TOUR/audit.db
rm -f "$TOUR"/audit.db*
python - "$TOUR" "$AUDIT" <<'PYTHON' || exit 1
import sys, tempfile
from pathlib import Path
from skin_lesion.audit import AuditLog, Entry
from skin_lesion.inference import Predictor
from skin_lesion.registry import champion, open_bundle
log, version = AuditLog.open(sys.argv[2]), str(champion().version)
with tempfile.TemporaryDirectory() as folder:
    predictor = Predictor(open_bundle(version, Path(folder)), version=version)
    pictures = [path.read_bytes() for path in sorted(Path(sys.argv[1]).glob("*.jpg"))]
    log.record_all([Entry("tour", "reader", answer) for answer in predictor.predict(pictures)])
PYTHON
ok skin-lesion audit list --url "$AUDIT"
ok skin-lesion audit verify --url "$AUDIT"
python - "$TOUR/audit.db" <<'PYTHON' || exit 1
"""Changes an answer, past the triggers that let nobody change one."""
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    database.execute("UPDATE audit_log SET status = 'ok', user = 'somebody else' WHERE id = 2")
PYTHON
no skin-lesion audit verify --url "$AUDIT"

say "The gates can be overridden, with a reason that stays in the record; one command goes back"
ok skin-lesion promote "$WORSE" --override "to show a rollback"
ok skin-lesion rollback --reason "it was the worse one, as its gates had said"

say "ZenML's own commands go on working, and are noticed"
ok zenml model-registry models update-version "$MODEL" -v "$WORSE" --stage Production
no skin-lesion status
ok skin-lesion status --repair
ok skin-lesion rollback --reason "back to the better one"
LINKED=$(python - "$WORSE" <<'PYTHON' 2>/dev/null | tail -n 1
import sys
from zenml.client import Client
versions = Client().list_model_versions(model="skin-lesion-classifier", hydrate=True, size=100)
print(next(v.number for v in versions if str(v.run_metadata.get("mlflow_version")) == sys.argv[1]))
PYTHON
)
ok zenml model version update "$MODEL" "$LINKED" -s production --force
no skin-lesion status --quick
ok skin-lesion status --repair --quick

say "A promotion that is killed just before the alias moves: production stays, and status explains"
cat > "$TOUR/killed.py" <<'PYTHON'
"""Promotes the version that is named, and kills itself just before the alias `champion` moves."""
import os, signal, sys
import mlflow
from skin_lesion.registry import PRODUCTION_ALIAS, promote
real = mlflow.MlflowClient.set_registered_model_alias
def write(self, name, alias, version):
    if alias == PRODUCTION_ALIAS:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, name, alias, version)
mlflow.MlflowClient.set_registered_model_alias = write
promote(sys.argv[1], user="tour", reason="killed half-way", override="to show a crash")
PYTHON
no python "$TOUR/killed.py" "$WORSE"
no skin-lesion status
no skin-lesion promote "$WORSE" --override "once more"
ok skin-lesion status --repair
[ "$(ask "s['champion']")" = "$BETTER" ] || { echo "docs/tour.sh: version $BETTER should be in production" >&2; exit 1; }
say "Done: version $BETTER is in production"
