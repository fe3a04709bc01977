"""Command line of folds: `python -m folds COMMAND`."""

if __name__ == "__main__":
    from comp.console import run
    from folds.cli import app

    run(app)
