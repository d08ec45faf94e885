"""Examples: pipeline files, and an app. Nothing of the product imports them."""
