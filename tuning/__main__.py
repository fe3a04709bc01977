"""Command line of tuning: `python -m tuning COMMAND`."""

if __name__ == "__main__":
    from comp.console import run
    from tuning.cli import app

    run(app)
