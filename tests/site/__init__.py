"""The documentation site: docs/ and the reference that is made of the package, rendered by Zensical."""
