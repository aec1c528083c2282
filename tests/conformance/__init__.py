"""docs/conformance.md: the field's suites, run and tabulated on one page."""
