"""Tools for maintainers: execute the notebooks, make the book, the guide's pages and the zip."""
