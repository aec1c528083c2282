"""What is known of resumption that let somebody in, tried here. docs/resumption.md is made from the table."""
