"""Draw the screenshots of docs/screenshots/ from a dashboard that runs.

    make demo && skin-lesion promote 1 --reason "to look at"
    skin-lesion dashboard --audit sqlite:////tmp/screenshots.db
    python docs/make_screenshots.py http://127.0.0.1:8501

Every picture on them is drawn by `skin_lesion.data.synthetic`, so that none is of a patient and none
has a licence of its own. Wants Debian's chromium and Playwright, as the tests in tests/app/browser do.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from skin_lesion.data.synthetic import draw_lesion
from skin_lesion.labels import LABELS
from skin_lesion.settings import SyntheticConfig
from skin_lesion.texts import LANGUAGES, Language, Texts

FOLDER = Path(__file__).parent / "screenshots"
SCREEN = {"width": 1366, "height": 768}
# Far beyond the lesions that the demo learns from.
LESIONS, SEED = 700_000, 4
TO_A_CLASS = 2
COLOURS = 256


def drawn(label: str, number: int) -> dict[str, object]:
    """A picture of a class, as a file to upload."""
    [pixels] = draw_lesion(
        label, LESIONS + number, [0], SyntheticConfig(height=450, width=600), SEED
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=92)
    name = f"drawn-{label}-{number}.jpg"
    return {"name": name, "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def settle(page: Page) -> None:
    """Wait until nothing more is being drawn."""
    page.wait_for_timeout(600)
    page.wait_for_selector(
        '[data-testid="stApp"][data-test-script-state="notRunning"]', state="attached"
    )
    page.wait_for_timeout(900)


def answer(page: Page, texts: Texts) -> None:
    """A picture that was read."""
    page.locator("input[type=file]").set_input_files([drawn("mel", 1)])
    page.wait_for_selector(".st-key-read_risk")


def many(page: Page, texts: Texts) -> None:
    """The table of many pictures."""
    go(page, "batch")
    files = [drawn(label, number) for label in LABELS for number in range(TO_A_CLASS)]
    page.locator("input[type=file]").set_input_files(files)
    page.wait_for_selector(".st-key-batch_csv")
    settle(page)
    page.locator(".st-key-batch_tools").evaluate("place => place.scrollIntoView()")
    page.locator('[data-testid="stMain"]').evaluate("place => place.scrollBy(0, -70)")


def evidence(page: Page, texts: Texts) -> None:
    """Operating points, and what a flag means at a prevalence."""
    go(page, "evidence")
    choice = page.locator(".st-key-evidence_section")
    choice.get_by_role("radio", name=texts("evidence.section.points"), exact=True).click()
    page.wait_for_selector(".st-key-evidence_prevalence")
    page.locator(".st-key-evidence_prevalence").scroll_into_view_if_needed()


def models(page: Page, texts: Texts) -> None:
    """Versions of the model and their gates."""
    go(page, "registry")
    page.wait_for_selector(".st-key-registry_version")


VIEWS: dict[str, Callable[[Page, Texts], None]] = {
    "answer": answer,
    "many": many,
    "evidence": evidence,
    "models": models,
}


def go(page: Page, name: str) -> None:
    """Turn to a page by the side bar."""
    page.get_by_test_id("stSidebarNav").locator(f'a[href$="/{name}"]').click()
    settle(page)


def shoot(browser: Browser, address: str, language: Language) -> None:
    """All views in a language, each in a session of its own."""
    for name, show in VIEWS.items():
        context = browser.new_context(locale=language, viewport=SCREEN)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("input[type=file]", state="attached")
        settle(page)
        show(page, Texts(language))
        settle(page)
        save(page.screenshot(), FOLDER / f"{name}.{language}.png")
        context.close()


def save(png: bytes, path: Path) -> None:
    """Keep a screenshot in a palette: a quarter of the size, and hardly a difference to be seen."""
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    path.parent.mkdir(exist_ok=True)
    image.save(path, optimize=True)


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="of a dashboard, such as http://127.0.0.1:8501")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for language in LANGUAGES:
            shoot(browser, arguments.address, language)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
