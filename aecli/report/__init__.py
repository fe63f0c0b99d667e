"""Draw what is known of a model: pictures from plain figures, and one page that holds them."""

import logging

# A home that cannot be written to, or a letter that no font has, is no news to who wants a picture.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
