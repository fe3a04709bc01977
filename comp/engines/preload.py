"""What a forked worker finds already imported: Keras, and nothing that starts a thread or an operation."""

import atexit
import os

from comp.backend import prepare_environment
from comp.engines.child import come_with_keras

prepare_environment()

# The server that workers are forked from inherits the person's terminal, and libraries print while they are imported.
_nowhere = os.open(os.devnull, os.O_RDWR)
for _descriptor in (0, 1, 2):
    os.dup2(_nowhere, _descriptor)
os.close(_nowhere)

come_with_keras()

# Taking the imported libraries apart would keep the server for two seconds after its command.
atexit.register(os._exit, 0)
