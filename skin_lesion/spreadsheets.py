"""Text from outside in a CSV file, which a spreadsheet must not take for a formula."""

# A spreadsheet takes a cell that begins like this for a formula, and runs it. The wide forms count
# as the narrow ones in some; an apostrophe is here so that the one that is put in front of a cell
# can be taken away again without doubt.
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")


def no_formula(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would take it for a formula.

    So has a text that begins with an apostrophe itself: to take one off gives every text back.
    """
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text
