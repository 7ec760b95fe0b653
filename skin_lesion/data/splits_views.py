"""What a person looks at after splitting: a page of counts and a sheet of merged pictures."""

from skin_lesion.data.duplicates import DuplicateReport
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.pages import cards, mark, page, table
from skin_lesion.data.splits import SPLITS, SplitTable
from skin_lesion.labels import LABELS

_MAX_SHEET_PAIRS = 60


def split_page(split: SplitTable) -> str:
    """Render how many images of each class each split holds, and that nothing leaks."""
    report = split.leak_report
    total = sum(report.images.values())
    rows = []
    for label in LABELS:
        counts = [report.class_counts[name][label] for name in SPLITS]
        deviations = [report.class_share_deviation[name][label] for name in SPLITS]
        rows.append(
            [
                f"<code>{label}</code>",
                f"{sum(counts):,}",
                *(f"{count:,}" for count in counts),
                *(f"{100 * deviation:+.2f}" for deviation in deviations),
            ]
        )
    worst = max(abs(d) for shares in report.class_share_deviation.values() for d in shares.values())
    body = [
        mark("good", "No lesion, lesion group or confirmed duplicate crosses splits"),
        cards(
            [
                *(
                    (
                        f"{report.images[name]:,}",
                        f"{name} images ({report.images[name] / total:.1%}), "
                        f"{report.groups[name]:,} lesion groups",
                    )
                    for name in SPLITS
                ),
                (f"{100 * worst:.2f}", "largest deviation of a class share, percentage points"),
            ]
        ),
        "<h2>Images of each class</h2>",
        table(
            ["Class", "All", *SPLITS, *(f"Δ {name}" for name in SPLITS)],
            rows,
            numbers=frozenset(range(1, 8)),
        ),
        '<p class="quiet">Δ: share of the class in the split minus its share in the whole set, in '
        "percentage points.</p>",
        "<h2>Near-duplicates across lesion ids</h2>",
        f"<p>{report.merged_pairs} pairs of near-identical pictures with different lesion ids were "
        f"found and their lesions merged; {report.unmerged_pairs} more exceeded the bound on group "
        "size: their lesions stay separate groups, yet lie in the same split.</p>",
        f'<p class="quiet">Split hash <code>{split.split_hash}</code></p>',
    ]
    return page("Split by lesion", body)


def duplicate_sheet(manifest: Manifest, images: ImageArray, duplicates: DuplicateReport) -> bytes:
    """Draw the confirmed pairs side by side, most similar first, as a PNG.

    Args:
        manifest: Table of the images, for their diagnoses.
        images: Their pixels.
        duplicates: The confirmed pairs; at most the first 60 are drawn.
    """
    from skin_lesion.data.contact_sheets import contact_sheet

    pixels = images.open()
    dx = manifest.images["dx"].tolist()
    shown = duplicates.pairs.head(_MAX_SHEET_PAIRS).to_dict("records")
    pictures, captions = [], []
    for pair in shown:
        pictures += [pixels[pair["row_a"]], pixels[pair["row_b"]]]
        fate = "merged" if pair["merged"] else "not merged"
        captions += [
            f"{pair['image_a']} {dx[pair['row_a']]} {pair['lesion_a']}",
            f"{pair['image_b']} {dx[pair['row_b']]} {pair['lesion_b']} "
            f"r={pair['correlation']:.2f} {fate}",
        ]
    title = f"{len(duplicates.pairs)} near-identical pairs with different lesion ids"
    return contact_sheet(pictures, captions, columns=4, title=title)
