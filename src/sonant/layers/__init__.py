"""Building blocks over packed speech; they take plain numbers and know no family."""
