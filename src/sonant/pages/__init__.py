"""Self-contained HTML pages: elements, a style for all of them, and recordings inside them."""
