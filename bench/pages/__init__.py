"""The site of the suite `pages`: its settings, views and templates, and its client."""
