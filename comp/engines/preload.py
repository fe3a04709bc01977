"""What a forked worker finds already imported: Keras, and nothing that starts a thread or an operation."""

from comp.backend import prepare_environment

prepare_environment()

import keras  # noqa: F401
