"""Command line of competitions: `python -m comp COMMAND`."""

if __name__ == "__main__":
    from comp.cli import app
    from comp.console import run

    run(app)
