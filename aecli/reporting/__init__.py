"""Draw what is known of a model: pictures from plain figures, and one page that holds them."""
