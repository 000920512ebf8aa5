"""What stored runs show: tables, figures, moving pictures and a self-contained HTML report."""
