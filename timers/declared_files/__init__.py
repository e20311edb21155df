"""Files of declared timers: parsed strictly, with the place of each error."""
