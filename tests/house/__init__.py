"""The picture of the imports: which module stands on which, and whether an arrow turns upward."""
