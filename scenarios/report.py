from pathlib import Path


def write_report(folder: Path) -> Path:
    p = folder / "report.html"
    p.write_text("x")
    return p
