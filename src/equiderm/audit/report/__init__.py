"""An audit for people: words, tables, pictures, one page."""
