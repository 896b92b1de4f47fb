"""The pages for a browser. Everything that they need is here: templates, style, htmx."""
