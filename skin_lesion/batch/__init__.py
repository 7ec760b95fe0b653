"""Many pictures at one go: list them, score them in shards, and join the shards into one table.

`run.score_batch` is the way in. Only the process that runs it writes; whoever scores shards, on this
machine or another, hands back rows.
"""
