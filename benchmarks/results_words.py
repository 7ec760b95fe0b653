"""The words of the results in the READMEs, in each language."""

from dataclasses import dataclass

import seeds_table


@dataclass(frozen=True)
class Language:
    """The words around the figures.

    Attributes:
        readme: File that holds the table.
        none: What stands there while nothing has been recorded.
        repeat: What precedes the command.
        run: Sentence about the run.
        dirty: What follows the commit where files differed from it.
        totals: Heading of the first table.
        baseline: Heading of the column of one baseline.
        published: What stands below the table about the published figures.
        compared: The same about the baselines.
        rows: (field of the report, words).
        classes: Heading of the table of classes.
        uncalibrated: What stands for the calibration errors where no calibration was better.
        evidence_head: Heading of the table of evidence.
        evidence: (name in the record, words).
        seeds: Words of the table of several seeds.
        benchmarks: Heading of the table of benchmarks.
        ratios: What each benchmark compares, and whether it wants `≤` or `≥` its bound, by its name;
            `file.part` is one of several comparisons of a benchmark.
    """

    readme: str
    none: str
    repeat: str
    run: str
    dirty: str
    totals: tuple[str, str, str, str]
    baseline: str
    published: str
    compared: str
    rows: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    uncalibrated: str
    evidence_head: tuple[str, str, str]
    evidence: tuple[tuple[str, str], ...]
    seeds: seeds_table.Words
    benchmarks: tuple[str, ...]
    ratios: dict[str, tuple[str, str]]


ENGLISH = Language(
    readme="README.md",
    none="No run on the real images has been recorded yet.",
    repeat="Repeat it with",
    run=(
        "Backbone {backbone}, pretrained on {pretrained}. Test: {images} images of {lesions} lesions, "
        "none of which was seen in training or validation. {minutes:.0f} minutes on {machine}; "
        "commit {commit}."
    ),
    dirty="with uncommitted changes",
    totals=("", "Validation", "Test", "Published"),
    baseline="Baseline, {epochs} epochs, {minutes:.0f} min",
    published=(
        "Published: what this project set out from, an EfficientNetB4 at 380 × 380 pixels trained "
        "for 4.5 hours on an A100. Its test is another one: a split by image, not stated to keep "
        "the pictures of a lesion together."
    ),
    compared=(
        "±: standard error, from {resamples} bootstrap resamples of the lesion groups. ✓: ours is no "
        "worse than that baseline within one standard error; ✗: worse by more. The baselines ({what}) "
        "were tested on splits of their own: {splits}."
    ),
    rows=(
        ("accuracy", "Accuracy"),
        ("balanced_accuracy", "Balanced accuracy"),
        ("macro_f1", "Macro F1"),
        ("weighted_f1", "Weighted F1"),
        ("macro_auc", "Macro AUC"),
        ("melanoma_auc", "Melanoma AUC"),
        ("malignant_auc", "Malignant AUC"),
        ("ece", "Calibration error (ECE)"),
    ),
    classes=("Class (test)", "Images", "Precision", "Recall", "F1", "AUC"),
    uncalibrated="Calibration error (ECE); no calibration did better than the plain softmax",
    evidence_head=("On the test split, everything frozen on validation", "Figure", "95 % interval"),
    evidence=(
        ("lesions.melanoma_auc", "Melanoma AUC, one picture a lesion"),
        ("lesions.malignant_auc", "Malignant AUC, one picture a lesion"),
        ("lesions.balanced_accuracy", "Balanced accuracy, one picture a lesion"),
        ("lesions.macro_f1", "Macro F1, one picture a lesion"),
        (
            "melanoma_sensitivity_95.sensitivity",
            "Melanoma, frozen for 95 % sensitivity: sensitivity (lesions)",
        ),
        ("melanoma_sensitivity_95.specificity", "… specificity (lesions)"),
        ("melanoma_sensitivity_95.ppv", "… PPV at this prevalence (images)"),
        ("melanoma_sensitivity_95.npv", "… NPV (images)"),
        (
            "malignant_sensitivity_95.sensitivity",
            "Malignant, frozen for 95 % sensitivity: sensitivity (lesions)",
        ),
        ("malignant_sensitivity_95.specificity", "… specificity (lesions)"),
        ("ece_before", "Calibration error (ECE) before calibration"),
        ("ece", "… after calibration"),
        ("sets.coverage", "Prediction sets (90 %): hold the true class"),
        ("sets.mean_size", "… mean number of classes"),
        ("refused", "Pictures refused as “cannot assess”"),
        ("outliers.auroc", "AUROC against crops of photographs without a lesion"),
        ("deletion.better", "Melanomas whose heat-map beats random deletion"),
    ),
    seeds=seeds_table.ENGLISH,
    benchmarks=("Benchmark", "Median ratio", "Wanted", "Repeat it with"),
    ratios={
        "ingest": ("Time of ingestion / a bare loop that does the same to each image", "≤"),
        "train_loop.throughput_96x128": (
            "Images/s of the training loop / of the bare one on a constant batch, 96 × 128",
            "≥",
        ),
        "train_loop.throughput_150x200": ("… 150 × 200", "≥"),
        "train_loop.checkpoint_96x128": (
            "Time of a checkpoint / of learning from 7,010 images, 96 × 128",
            "≤",
        ),
        "train_loop.checkpoint_150x200": ("… 150 × 200", "≤"),
        "train_loop.memory": ("Peak memory of training on 100,150 images / on 10,015", "≤"),
        "cached_run": ("Time of a fully cached run / a two-step ZenML pipeline", "≤"),
        "intervals": ("Time of all figures in 2,000 resamples / some of them by a loop", "≤"),
        "latency.bare": ("Time of the Predictor / decoding and the bare network", "≤"),
        "latency.heat_map": ("Time of the Predictor with a heat-map / without", "≤"),
        "latency.tf_function": ("Time of a compiled `tf.function` / the Predictor", "≥"),
        "latency.eager": ("Time of the Keras model called directly / the Predictor", "≥"),
        "batch": ("Pictures/s of a process a core / cores × one process on one thread", "≥"),
        "batch_ray": ("Pictures/s of two Ray workers / one", "≥"),
        "serving": ("Time of an answer over HTTP / of the same model behind a pipe", "≤"),
        "dashboard.mobilenet_160_later_reading": (
            "Dashboard: time of a reading with its heat-map / of a forward pass, MobileNet 160",
            "≤",
        ),
        "dashboard.efficientnet_b4_380_later_reading": (
            "Dashboard: time of a reading with its heat-map / of a forward pass, EfficientNetB4 380",
            "≤",
        ),
        "dashboard.mobilenet_160_clients": (
            "Dashboard: 95th percentile of 20 clients at once / median of one alone",
            "≤",
        ),
        "dashboard.mobilenet_160_memory": (
            "Dashboard: memory after 1,000 readings / after the first 200",
            "≤",
        ),
    },
)
SPANISH = Language(
    readme="README.es.md",
    none="Todavía no se ha registrado ninguna ejecución con las imágenes reales.",
    repeat="Se repite con",
    run=(
        "Red base {backbone}, preentrenada con {pretrained}. Prueba: {images} imágenes de {lesions} "
        "lesiones, ninguna vista en entrenamiento ni en validación. {minutes:.0f} minutos en "
        "{machine}; commit {commit}."
    ),
    dirty="con cambios sin confirmar",
    totals=("", "Validación", "Prueba", "Publicado"),
    baseline="Referencia, {epochs} épocas, {minutes:.0f} min",
    published=(
        "Publicado: aquello de lo que partió este proyecto, una EfficientNetB4 de 380 × 380 píxeles "
        "entrenada 4.5 horas en una A100. Su prueba es otra: una partición por imagen, de la que no "
        "se dice que mantenga juntas las fotos de una lesión."
    ),
    compared=(
        "±: error estándar, de {resamples} remuestreos bootstrap de los grupos de lesiones. ✓: la "
        "cifra no es peor que la de esa referencia dentro de un error estándar; ✗: es peor por más. Las "
        "referencias («{what}») se probaron en particiones propias: «{splits}»."
    ),
    rows=(
        ("accuracy", "Exactitud"),
        ("balanced_accuracy", "Exactitud equilibrada"),
        ("macro_f1", "F1 macro"),
        ("weighted_f1", "F1 ponderado"),
        ("macro_auc", "AUC macro"),
        ("melanoma_auc", "AUC de melanoma"),
        ("malignant_auc", "AUC de malignidad"),
        ("ece", "Error de calibración (ECE)"),
    ),
    classes=("Clase (prueba)", "Imágenes", "Precisión", "Sensibilidad", "F1", "AUC"),
    uncalibrated="Error de calibración (ECE); ninguna calibración superó al softmax simple",
    evidence_head=(
        "En la partición de prueba, todo fijado en validación",
        "Cifra",
        "Intervalo del 95 %",
    ),
    evidence=(
        ("lesions.melanoma_auc", "AUC de melanoma, una imagen por lesión"),
        ("lesions.malignant_auc", "AUC de malignidad, una imagen por lesión"),
        ("lesions.balanced_accuracy", "Exactitud equilibrada, una imagen por lesión"),
        ("lesions.macro_f1", "F1 macro, una imagen por lesión"),
        (
            "melanoma_sensitivity_95.sensitivity",
            "Melanoma, fijado para una sensibilidad del 95 %: sensibilidad (lesiones)",
        ),
        ("melanoma_sensitivity_95.specificity", "… especificidad (lesiones)"),
        ("melanoma_sensitivity_95.ppv", "… VPP con esta prevalencia (imágenes)"),
        ("melanoma_sensitivity_95.npv", "… VPN (imágenes)"),
        (
            "malignant_sensitivity_95.sensitivity",
            "Maligno, fijado para una sensibilidad del 95 %: sensibilidad (lesiones)",
        ),
        ("malignant_sensitivity_95.specificity", "… especificidad (lesiones)"),
        ("ece_before", "Error de calibración (ECE) antes de calibrar"),
        ("ece", "… después de calibrar"),
        ("sets.coverage", "Conjuntos de predicción (90 %): contienen la clase verdadera"),
        ("sets.mean_size", "… número medio de clases"),
        ("refused", "Imágenes rechazadas como «no se puede valorar»"),
        ("outliers.auroc", "AUROC frente a recortes de fotografías sin lesión"),
        ("deletion.better", "Melanomas cuyo mapa de calor supera el borrado al azar"),
    ),
    seeds=seeds_table.SPANISH,
    benchmarks=("Medición", "Razón mediana", "Se pide", "Se repite con"),
    ratios={
        "ingest": ("Tiempo de la ingesta / un bucle simple que hace lo mismo a cada imagen", "≤"),
        "train_loop.throughput_96x128": (
            "Imágenes/s del bucle de entrenamiento / del desnudo con un lote constante, 96 × 128",
            "≥",
        ),
        "train_loop.throughput_150x200": ("… 150 × 200", "≥"),
        "train_loop.checkpoint_96x128": (
            "Tiempo de un punto de control / de aprender de 7010 imágenes, 96 × 128",
            "≤",
        ),
        "train_loop.checkpoint_150x200": ("… 150 × 200", "≤"),
        "train_loop.memory": ("Memoria máxima al entrenar con 100 150 imágenes / con 10 015", "≤"),
        "cached_run": ("Tiempo de una ejecución en caché / un flujo de ZenML de dos pasos", "≤"),
        "intervals": ("Tiempo de todas las cifras en 2000 remuestreos / algunas con un bucle", "≤"),
        "latency.bare": ("Tiempo del Predictor / decodificar y la red sola", "≤"),
        "latency.heat_map": ("Tiempo del Predictor con mapa de calor / sin él", "≤"),
        "latency.tf_function": ("Tiempo de una `tf.function` compilada / el Predictor", "≥"),
        "latency.eager": ("Tiempo del modelo Keras llamado sin más / el Predictor", "≥"),
        "batch": ("Imágenes/s de un proceso por núcleo / núcleos × un proceso de un hilo", "≥"),
        "batch_ray": ("Imágenes/s de dos trabajadores de Ray / uno", "≥"),
        "serving": ("Tiempo de una respuesta por HTTP / del mismo modelo tras una tubería", "≤"),
        "dashboard.mobilenet_160_later_reading": (
            "Panel: tiempo de una lectura con su mapa / de un paso de la red, MobileNet 160",
            "≤",
        ),
        "dashboard.efficientnet_b4_380_later_reading": (
            "Panel: tiempo de una lectura con su mapa / de un paso de la red, EfficientNetB4 380",
            "≤",
        ),
        "dashboard.mobilenet_160_clients": (
            "Panel: percentil 95 de 20 clientes a la vez / mediana de uno solo",
            "≤",
        ),
        "dashboard.mobilenet_160_memory": (
            "Panel: memoria tras 1000 lecturas / tras las primeras 200",
            "≤",
        ),
    },
)
