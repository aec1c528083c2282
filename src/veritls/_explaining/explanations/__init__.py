"""One function for each kind of refusal: which certificate failed which check, on what evidence."""
