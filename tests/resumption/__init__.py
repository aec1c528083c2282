"""Known attacks on resumption, tried here. docs/resumption.md is made from the table."""
