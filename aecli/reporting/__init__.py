"""Reports on a model: its data is collected, then drawn as pictures or one HTML page."""

import logging

# No warnings for a home that cannot be written to or for letters that the font lacks.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
