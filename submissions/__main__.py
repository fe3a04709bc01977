"""Command line of submissions: `python -m submissions COMMAND`."""

if __name__ == "__main__":
    from comp.console import run
    from submissions.cli import app

    run(app)
