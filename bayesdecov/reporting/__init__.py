"""One self-contained HTML file about a finished run."""
