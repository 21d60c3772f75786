"""One table of all jobs, as TSV and HTML, from what their shards say of themselves."""

import html
import json
from pathlib import Path

COLUMNS = [
    "job", "command", "engine", "shards", "unit", "units", "lines", "seconds_longest_shard",
    "cpu_seconds", "peak_memory_mb", "skipped", "megabytes",
]


def row(results, job):
    """What the shards of a job did, summed up."""
    folder = Path(results) / job / "shards"
    manifests = [json.loads(path.read_text()) for path in folder.glob("*.shard.json")]
    runs = [json.loads((folder / f"{m['shard']['number']}.json").read_text()) for m in manifests]
    outputs = [path for path in (Path(results) / job).iterdir() if path.is_file()]
    data = [path for path in outputs if path.suffix not in (".done", ".log", ".tbi", ".csi")]
    cells = [
        job,
        manifests[0]["command"],
        ", ".join(sorted({m["engine"] for m in manifests})),
        len(manifests),
        manifests[0]["share"]["unit"],
        manifests[0]["share"]["of"],
        sum(part["records"] for m in manifests for part in m["outputs"]),
        f"{max(run['seconds'] for run in runs):.1f}",
        f"{sum(run['cpu_seconds'] or 0 for run in runs):.1f}",
        f"{max(run['peak_memory_bytes'] or 0 for run in runs) / 1e6:.0f}",
        sum(sum(run["skipped"].values()) for run in runs),
        f"{sum(path.stat().st_size for path in data) / 1e6:.1f}",
    ]
    return [str(cell) for cell in cells]


def page(rows):
    """The table as a page of its own."""
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(cells, "td") for cells in rows)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>atrous: jobs</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }}
th:nth-child(-n+3), td:nth-child(-n+3) {{ text-align: left; }}
</style>
<h1>atrous: {len(rows)} jobs</h1>
<table>
{line(COLUMNS, "th")}
{body}
</table>
</html>
"""


table = [row(snakemake.params.results, job) for job in snakemake.params.jobs]
Path(snakemake.output.tsv).write_text(
    "\n".join("\t".join(cells) for cells in [COLUMNS, *table]) + "\n"
)
Path(snakemake.output.html).write_text(page(table))
