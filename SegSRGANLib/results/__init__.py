"""Pages for a browser: one a result (`subject`) and one a cohort (`cohort`), each a single file without links out."""
