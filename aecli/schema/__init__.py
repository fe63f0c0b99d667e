"""Hold every option's and every stored field's default, bound and help sentence, once."""
